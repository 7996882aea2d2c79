//! What the documentation names exists.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::Path;

fn sources(folder: &Path, all: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_test_that_stands_for_a_promise_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = String::new();
    sources(&root.join("src"), &mut all);
    sources(&root.join("tests"), &mut all);
    let page = fs::read_to_string(root.join("src/docs/reliability.rs")).unwrap();
    let promises = page.lines().filter(|line| line.starts_with("//! |"));
    let named = promises.flat_map(|line| line.split('`').skip(1).step_by(2)).filter(|name| name.contains('_'));
    let named: Vec<_> = named.filter(|name| !name.contains('(')).collect();
    assert!(named.len() > 20, "{named:?}");
    for name in named {
        assert!(all.contains(&format!("fn {name}(")) || all.contains(&format!("{name}:")), "there is no test {name}");
    }
}
