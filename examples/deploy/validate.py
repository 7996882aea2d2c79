"""Holds what is in this folder against the schemas that the registries have. Exit code 1 if something does not fit.

    python validate.py --provider cdktf_cdktf_provider_aws-21.22.1-py3-none-any.whl [FOLDER]

- kubernetes.yaml: strictly against the API of an old and of a new Kubernetes (kubernetes-validate).
- main.tf: it parses, the AWS provider knows every block and argument, none that it requires is missing (its schema is
  read from the Python bindings of hashicorp/aws 6.25.0), and every reference points at something.
- eksctl.yaml: eksctl's schema is in no registry, so against the part of it that these files use, written down below.
- Dockerfile: hadolint.
- the files of a method agree on the service account, the role and the trust.
"""

import argparse
import ast
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import hcl2
import jsonschema
import kubernetes_validate
import yaml

METHODS = ("irsa", "pod-identity", "both")
KUBERNETES = ("1.32", "1.37")
TEXT = {"type": "string", "minLength": 1}


def record(required, optional=None):
    """A mapping that has all of `required` and of others only `optional`."""
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


POLICY = record(
    {
        "Version": {"const": "2012-10-17"},
        "Statement": {
            "type": "array",
            "minItems": 1,
            "items": record({"Effect": {"enum": ["Allow", "Deny"]}, "Action": TEXT, "Resource": TEXT}),
        },
    }
)
EKSCTL = record(
    {
        "apiVersion": {"const": "eksctl.io/v1alpha5"},
        "kind": {"const": "ClusterConfig"},
        "metadata": record({"name": TEXT, "region": TEXT}),
        "iam": record(
            {},
            {
                "withOIDC": {"type": "boolean"},
                "serviceAccounts": {
                    "type": "array",
                    "items": record(
                        {"metadata": record({"name": TEXT, "namespace": TEXT}), "attachPolicy": POLICY},
                        {"roleName": TEXT, "roleOnly": {"type": "boolean"}},
                    ),
                },
                # By eksctl's guide: either `roleARN`, or what it is to make a role of.
                "podIdentityAssociations": {
                    "type": "array",
                    "items": {
                        "oneOf": [
                            record({"namespace": TEXT, "serviceAccountName": TEXT, "roleARN": TEXT}),
                            record(
                                {"namespace": TEXT, "serviceAccountName": TEXT, "permissionPolicy": POLICY},
                                {"roleName": TEXT},
                            ),
                        ]
                    },
                },
            },
        ),
    },
    {"addons": {"type": "array", "items": record({"name": TEXT})}},
)


def kubernetes(path):
    """Objects that do not fit the API of a version."""
    for manifest in yaml.safe_load_all(path.read_text()):
        for version in KUBERNETES:
            try:
                kubernetes_validate.validate(manifest, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                where = ".".join(map(str, error.path))
                yield f"{path}: {manifest.get('kind')}, Kubernetes {version}: {where}: {error.message}"


def eksctl(path):
    """What does not fit the part of eksctl's schema above."""
    for error in jsonschema.Draft202012Validator(EKSCTL).iter_errors(yaml.safe_load(path.read_text())):
        yield f"{path}: {'.'.join(map(str, error.absolute_path))}: {error.message}"


class Provider:
    """The AWS provider's resources and data sources: the arguments that a block takes, and those that it must have."""

    META = {"count", "depends_on", "for_each", "lifecycle", "provider", "provisioners", "connection"}

    def __init__(self, wheel):
        self.wheel = zipfile.ZipFile(wheel)
        self.modules = {}

    def block(self, kind, nested):
        """(takes, must have) of a block: `kind` as aws_iam_role or data_aws_iam_role, `nested` the path into it."""
        module = kind.removeprefix("aws_") if kind.startswith("aws_") else kind
        name = "".join(part.capitalize() for part in module.split("_"))
        # The bindings call the configuration of a resource XConfig, and a block in it X and its path.
        name += "".join(part.capitalize() for step in nested for part in step.split("_")) if nested else "Config"
        return self.classes(module).get(name)

    def classes(self, module):
        if module not in self.modules:
            self.modules[module] = self.read(f"cdktf_cdktf_provider_aws/{module}/__init__.py")
        return self.modules[module]

    def read(self, name):
        if name not in self.wheel.namelist():
            return {}
        found = {}
        for item in ast.parse(self.wheel.read(name)).body:
            for init in getattr(item, "body", []):
                if isinstance(init, ast.FunctionDef) and init.name == "__init__":
                    names = [argument.arg for argument in init.args.kwonlyargs]
                    required = {n for n, default in zip(names, init.args.kw_defaults) if default is None}
                    found[item.name] = (set(names), required)
        return found


def unquoted(value):
    """python-hcl2 leaves a literal in its quotation marks."""
    return value[1:-1] if isinstance(value, str) and value[:1] == value[-1:] == '"' else value


def blocks(body, kind):
    """(labels…, content) of each block of a kind, as python-hcl2 has them."""
    for entry in body.get(kind, []):
        for first, inner in entry.items():
            if kind in ("resource", "data"):
                for second, content in inner.items():
                    if not second.startswith("__"):
                        yield unquoted(first), unquoted(second), content
            elif not first.startswith("__"):
                yield unquoted(first), inner


def terraform(path, provider):
    """What does not parse, is unknown to the provider, is missing, or refers to nothing."""
    text = path.read_text()
    body = hcl2.loads(text)
    declared = set()
    for prefix in ("resource", "data"):
        for kind, name, content in blocks(body, prefix):
            declared.add(f"{'data.' * (prefix == 'data')}{kind}.{name}")
            key = f"data_{kind}" if prefix == "data" else kind
            yield from arguments(f"{path}: {prefix} {kind}.{name}", provider, key, [], content)
    declared |= {f"var.{name}" for name, _ in blocks(body, "variable")}
    declared |= {f"local.{name}" for name, _ in blocks(body, "locals")}
    without_comments = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    for reference in re.findall(r"(?<![\w.\"-])((?:data\.)?(?:aws_\w+|var|local)\.\w+)", without_comments):
        if reference not in declared:
            yield f"{path}: {reference} is declared nowhere"


def arguments(where, provider, kind, nested, content):
    known = provider.block(kind, nested)
    if known is None:
        yield f"{where}: the provider has no block {'.'.join([kind, *nested])}"
        return
    takes, required = known
    # python-hcl2's own notes are in between: __is_block__, __comments__.
    given = {name for name in content if not name.startswith("__")}
    for name in sorted(given - takes - provider.META):
        yield f"{where}: {'.'.join([*nested, name])} is no argument of it"
    for name in sorted(required - given):
        yield f"{where}: {'.'.join([*nested, name])} is missing"
    for name in sorted(given & takes):
        inner = [item for item in content[name] if isinstance(item, dict)] if isinstance(content[name], list) else []
        for item in inner:
            if "__is_block__" in item:
                yield from arguments(where, provider, kind, [*nested, name], item)


def dockerfile(path):
    done = subprocess.run(["hadolint", "--no-color", path], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        yield (done.stdout + done.stderr).strip()


def agreement(folder):
    """The service account and the role of a method's files; for `both` the trust policy beside them too."""
    manifests = list(yaml.safe_load_all((folder / "kubernetes.yaml").read_text()))
    account = next(m for m in manifests if m["kind"] == "ServiceAccount")["metadata"]
    ours = (account["namespace"], account["name"])
    iam = yaml.safe_load((folder / "eksctl.yaml").read_text())["iam"]
    theirs = [(a["metadata"]["namespace"], a["metadata"]["name"]) for a in iam.get("serviceAccounts", [])]
    theirs += [(a["namespace"], a["serviceAccountName"]) for a in iam.get("podIdentityAssociations", [])]
    body = hcl2.loads((folder / "main.tf").read_text())
    variables = {name: unquoted(content.get("default")) for name, content in blocks(body, "variable")}
    theirs.append((variables["namespace"], variables["service_account"]))
    for other in theirs:
        if other != ours:
            yield f"{folder}: kubernetes.yaml has the service account {'/'.join(ours)}, another file {'/'.join(other)}"
    arn = account.get("annotations", {}).get("eks.amazonaws.com/role-arn", f"role/{variables['role_name']}")
    if not arn.endswith(f"role/{variables['role_name']}"):
        yield f"{folder}: kubernetes.yaml has the role {arn}, main.tf {variables['role_name']}"
    for path in folder.glob("*.json"):
        trust = json.loads(path.read_text())
        conditions = [s["Condition"]["StringEquals"] for s in trust["Statement"]]
        subjects = [value for each in conditions for key, value in each.items() if key.endswith(":sub")]
        if subjects != [f"system:serviceaccount:{':'.join(ours)}"]:
            yield f"{path}: it trusts {subjects}, and the service account is {'/'.join(ours)}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--provider", required=True, help="the wheel of cdktf-cdktf-provider-aws")
    parser.add_argument("folder", nargs="?", default=Path(__file__).parent, type=Path)
    options = parser.parse_args()
    provider = Provider(options.provider)
    problems = list(dockerfile(options.folder / "Dockerfile"))
    for folder in (options.folder / method for method in METHODS):
        found = [*kubernetes(folder / "kubernetes.yaml"), *eksctl(folder / "eksctl.yaml")]
        found += terraform(folder / "main.tf", provider)
        # Only files that are what they should be can be compared.
        problems += found or agreement(folder)
    for problem in problems:
        print(problem)
    print(f"Kubernetes {' and '.join(KUBERNETES)}, Terraform, eksctl, Dockerfile: {len(problems) or 'no'} problems")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
