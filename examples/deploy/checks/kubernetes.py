"""Renders kustomize overlays, and validates the objects against the APIs of Kubernetes and of prometheus-operator."""

import ast
import subprocess
import zipfile
from functools import cache

import jsonschema
import kubernetes_validate
import yaml

# An old version, and the newest that this version of kubernetes-validate knows.
VERSIONS = ("1.32", "1.37")
OPERATOR = "monitoring.coreos.com/v1"
METADATA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "namespace": {"type": "string"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "required": ["name", "namespace"],
    "additionalProperties": False,
}


class RenderError(Exception):
    """`kubectl kustomize` has failed."""


def render(folder):
    """The objects of an overlay, as `kubectl apply -k` creates them."""
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RenderError(f"{folder}: {done.stderr.strip()}")
    return list(yaml.safe_load_all(done.stdout))


def objects(folder, manifests, operator):
    for manifest in manifests:
        where = f"{folder}: {manifest.get('kind')} {manifest.get('metadata', {}).get('name')}"
        if manifest.get("apiVersion") == OPERATOR:
            for error in jsonschema.Draft202012Validator(operator.schema(manifest["kind"])).iter_errors(manifest):
                yield f"{where}: {'.'.join(map(str, error.absolute_path))}: {error.message}"
            continue
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(manifest, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{where}: Kubernetes {version}: {'.'.join(map(str, error.path))}: {error.message}"


class Operator:
    """The custom resources of prometheus-operator, read from the Python models of cloudcoil without importing them."""

    KEYWORDS = {"pattern": "pattern", "min_length": "minLength", "max_length": "maxLength", "ge": "minimum", "le": "maximum"}
    SIMPLE = {"str": {"type": "string"}, "int": {"type": "integer"}, "bool": {"type": "boolean"}, "float": {"type": "number"}}

    def __init__(self, wheel):
        source = zipfile.ZipFile(wheel).read("cloudcoil/models/prometheus_operator/v1.py")
        self.classes = {item.name: item for item in ast.parse(source).body if isinstance(item, ast.ClassDef)}

    @cache
    def schema(self, name):
        """The JSON schema of a class. Unknown fields are errors."""
        properties, required = {}, []
        for item in self.classes[name].body:
            if not isinstance(item, ast.AnnAssign):
                continue
            alias, schema = self.field(item.annotation)
            alias = alias or item.target.id
            properties[alias] = METADATA if alias == "metadata" else schema
            # In a manifest, the fields that have a default because there is only one value are required too.
            if item.value is None or alias in ("apiVersion", "kind", "metadata"):
                required.append(alias)
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}

    def field(self, annotation):
        """(alias, schema) of a field."""
        if not (isinstance(annotation, ast.Subscript) and annotation.value.id == "Annotated"):
            return None, self.type(annotation)
        kind, settings = annotation.slice.elts
        given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in settings.keywords}
        limits = {self.KEYWORDS[name]: value for name, value in given.items() if name in self.KEYWORDS}
        return given.get("alias"), {**self.type(kind), **limits}

    def type(self, node):
        if isinstance(node, ast.Name):
            return self.SIMPLE.get(node.id) or self.schema(node.id)
        if isinstance(node, ast.Attribute):
            return {}
        generic, inner = node.value.id, node.slice
        if generic == "Optional":
            return self.type(inner)
        if generic == "Literal":
            return {"enum": list(ast.literal_eval(inner)) if isinstance(inner, ast.Tuple) else [ast.literal_eval(inner)]}
        if generic == "List":
            return {"type": "array", "items": self.type(inner)}
        if generic == "Dict":
            return {"type": "object", "additionalProperties": self.type(inner.elts[1])}
        if generic == "Union":
            return {"anyOf": [self.type(each) for each in inner.elts]}
        raise NotImplementedError(ast.unparse(node))
