//! Renders the overlays of `examples/deploy`, as `kubectl kustomize` does. It implements only what they use: `resources`,
//! and strategic merge patches in files. Everything else is a panic. A test compares its output with that of kubectl.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

/// The objects of a folder with a `kustomization.yaml`, in any order.
pub(crate) fn render(folder: &Path) -> Vec<Value> {
    let [kustomization] = &read(&folder.join("kustomization.yaml"))[..] else { panic!("not one kustomization") };
    let mut objects = Vec::new();
    for (field, value) in kustomization.as_object().unwrap() {
        let entries = value.as_array().map(Vec::as_slice).unwrap_or_default();
        match field.as_str() {
            "apiVersion" => assert_eq!(value, "kustomize.config.k8s.io/v1beta1"),
            "kind" => assert_eq!(value, "Kustomization"),
            "resources" => {
                let paths = entries.iter().map(|path| folder.join(path.as_str().unwrap()));
                objects.extend(paths.flat_map(|path| if path.is_dir() { render(&path) } else { read(&path) }));
            }
            "patches" => {}
            _ => panic!("{}: {field} is not implemented", folder.display()),
        }
    }
    for patch in kustomization["patches"].as_array().into_iter().flatten() {
        let patch = patch.as_object().unwrap();
        assert_eq!(patch.len(), 1, "only path is implemented: {patch:?}");
        for patch in read(&folder.join(patch["path"].as_str().unwrap())) {
            let target = objects.iter_mut().find(|object| identity(object) == identity(&patch));
            merge(target.unwrap_or_else(|| panic!("no object for {:?}", identity(&patch))), &patch);
        }
    }
    objects
}

/// What a patch names its object by, and what orders objects.
pub(crate) fn identity(object: &Value) -> [&str; 4] {
    let metadata = &object["metadata"];
    [&object["apiVersion"], &object["kind"], &metadata["namespace"], &metadata["name"]]
        .map(|value| value.as_str().unwrap_or_default())
}

pub(crate) fn read(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => merge_fields(target, patch),
        (_, Value::Null) => panic!("the deletion of a field is not implemented"),
        (target, patch) => *target = patch.clone(),
    }
}

fn merge_fields(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (field, value) in patch {
        assert!(!field.starts_with('$'), "{field} is not implemented");
        let Some(existing) = target.get_mut(field) else {
            target.insert(field.clone(), value.clone());
            continue;
        };
        match (existing, value, merge_key(field)) {
            (Value::Array(items), Value::Array(patch), Some(key)) => merge_items(items, patch, key),
            (existing, ..) => merge(existing, value),
        }
    }
}

fn merge_items(items: &mut Vec<Value>, patch: &[Value], key: &str) {
    for item in patch {
        match items.iter_mut().find(|existing| existing[key] == item[key]) {
            Some(existing) => merge(existing, item),
            None => items.push(item.clone()),
        }
    }
}

/// The field by which the items of a list are matched (`x-kubernetes-patch-merge-key` in the API of Kubernetes). `None`:
/// the patch replaces the list.
fn merge_key(list: &str) -> Option<&'static str> {
    match list {
        "containers" | "env" | "volumes" => Some("name"),
        "volumeMounts" => Some("mountPath"),
        _ => None,
    }
}
