"""Validates eksctl.yaml. eksctl's schema is in no package registry: below is the part of it that these files use."""

import jsonschema
import yaml

TEXT = {"type": "string", "minLength": 1}
TEXTS = {"anyOf": [TEXT, {"type": "array", "minItems": 1, "items": TEXT}]}


def record(required, optional=None):
    """A mapping that has all of `required`, and beyond these only keys of `optional`."""
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


POLICY = record(
    {
        "Version": {"const": "2012-10-17"},
        "Statement": {
            "type": "array",
            "minItems": 1,
            "items": record(
                {"Effect": {"enum": ["Allow", "Deny"]}, "Action": TEXTS, "Resource": TEXTS},
                {"Sid": TEXT, "Condition": {"type": "object"}},
            ),
        },
    }
)
SCHEMA = record(
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
                # By eksctl's guide: either `roleARN`, or the settings of a role that eksctl creates.
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


def config(path):
    for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(yaml.safe_load(path.read_text())):
        yield f"{path}: {'.'.join(map(str, error.absolute_path))}: {error.message}"
