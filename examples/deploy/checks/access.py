"""Compares the access that eksctl.yaml, main.tf, the manifests and trust-policy.json of a folder grant.

All of them must name the same cluster, service account and role. A role that is created with eksctl must have the same
permissions and the same trust policy as one that is created with Terraform.
"""

import json
import re

import hcl2
import yaml

from .terraform import blocks, unquoted

AGENT = "eks-pod-identity-agent"
# What the comparison understands. Anything else in main.tf could grant access that eksctl.yaml does not.
RESOURCES = {
    "aws_eks_addon",
    "aws_eks_pod_identity_association",
    "aws_iam_openid_connect_provider",
    "aws_iam_role",
    "aws_iam_role_policy",
}
STATEMENT = {"sid", "effect", "actions", "resources", "principals", "condition"}
# Actions that cannot be restricted to one resource.
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
ANY_RESOURCE = {"s3:ListAllMyBuckets"}


class NotComparable(Exception):
    """A construct that this module does not understand."""


def texts(value):
    return sorted(value) if isinstance(value, list) else [value]


def statements(policy):
    """The statements of an IAM policy in JSON, in an order and form that can be compared. `Sid` has no effect."""
    found = []
    for each in policy["Statement"]:
        found.append(
            {
                "effect": each["Effect"],
                "principals": {kind: texts(names) for kind, names in each.get("Principal", {}).items()},
                "actions": texts(each["Action"]),
                "resources": texts(each.get("Resource", [])),
                "conditions": {
                    test: {key: texts(values) for key, values in keys.items()}
                    for test, keys in each.get("Condition", {}).items()
                },
            }
        )
    return sorted(found, key=json.dumps)


class Terraform:
    """What main.tf creates with the defaults of its variables, in `account` and for the identity provider `issuer`."""

    def __init__(self, path, account, issuer):
        self.account = account
        body = hcl2.loads(path.read_text())
        self.variables = {name: unquoted(content.get("default")) for name, content in blocks(body, "variable")}
        self.resources = {}
        for kind, _, content in blocks(body, "resource"):
            if kind not in RESOURCES or kind in self.resources:
                raise NotComparable(f"{path}: the resource {kind} cannot be compared with eksctl.yaml")
            self.resources[kind] = content
        cluster, region = self.variables["cluster_name"], self.variables["region"]
        self.references = {f"var.{name}": value for name, value in self.variables.items()} | {
            "local.issuer": issuer,
            "aws_iam_openid_connect_provider.cluster.arn": f"arn:aws:iam::{account}:oidc-provider/{issuer}",
            "data.aws_eks_cluster.this.arn": f"arn:aws:eks:{region}:{account}:cluster/{cluster}",
        }
        documents = {name: content for kind, name, content in blocks(body, "data") if kind == "aws_iam_policy_document"}
        role, policy = self.resources["aws_iam_role"], self.resources["aws_iam_role_policy"]
        self.trust = self.document(documents, role["assume_role_policy"])
        self.permissions = self.document(documents, policy["policy"])

    def document(self, documents, reference):
        name = re.fullmatch(r"\$\{data\.aws_iam_policy_document\.(\w+)\.json\}", reference)
        if not name:
            raise NotComparable(f"{reference} is not a policy document of main.tf")
        return statements({"Statement": [self.statement(each) for each in documents[name[1]]["statement"]]})

    def statement(self, block):
        """A statement as IAM's JSON has it."""
        unknown = {name for name in block if not name.startswith("__")} - STATEMENT
        if unknown:
            raise NotComparable(f"main.tf: {', '.join(unknown)} of a policy statement")
        conditions = {}
        for condition in block.get("condition", []):
            keys = conditions.setdefault(unquoted(condition["test"]), {})
            keys.setdefault(self.value(condition["variable"]), []).extend(map(self.value, condition["values"]))
        return {
            "Effect": unquoted(block.get("effect", "Allow")),
            "Principal": {unquoted(p["type"]): list(map(self.value, p["identifiers"])) for p in block.get("principals", [])},
            "Action": list(map(self.value, block["actions"])),
            "Resource": list(map(self.value, block.get("resources", []))),
            "Condition": conditions,
        }

    def value(self, text):
        """A literal, with its references replaced."""

        def replaced(match):
            if match[1] not in self.references:
                raise NotComparable(f"main.tf: {match[0]} in a policy document")
            return self.references[match[1]]

        return re.sub(r"\$\{([^}]*)\}", replaced, unquoted(text))


def identities(folder, manifests, terraform, eksctl):
    """The cluster, the service account and the role."""
    variables, iam = terraform.variables, eksctl["iam"]
    kinds = {manifest["kind"]: manifest for manifest in manifests}
    account = kinds["ServiceAccount"]["metadata"]
    pod = kinds["Deployment"]["spec"]["template"]["spec"]
    roles, associations = iam.get("serviceAccounts", []), iam.get("podIdentityAssociations", [])

    named = {"the ServiceAccount": (account["namespace"], account["name"])}
    named["the Deployment"] = (kinds["Deployment"]["metadata"]["namespace"], pod["serviceAccountName"])
    named["main.tf"] = (variables["namespace"], variables["service_account"])
    for each in roles:
        named["eksctl.yaml (serviceAccounts)"] = (each["metadata"]["namespace"], each["metadata"]["name"])
    for each in associations:
        named["eksctl.yaml (podIdentityAssociations)"] = (each["namespace"], each["serviceAccountName"])
    yield from differences(folder, "service accounts", named)

    named = {"main.tf": (variables["cluster_name"], variables["region"])}
    named["eksctl.yaml"] = (eksctl["metadata"]["name"], eksctl["metadata"]["region"])
    yield from differences(folder, "clusters", named)

    arns = {}
    if annotation := account.get("annotations", {}).get("eks.amazonaws.com/role-arn"):
        arns["the ServiceAccount"] = annotation
    for variable in pod["containers"][0].get("env", []):
        if variable["name"] == "AWS_ROLE_ARN":
            arns["the Deployment"] = variable["value"]
    names = {"main.tf": variables["role_name"]}
    for each in [*roles, *associations]:
        if "roleARN" in each:
            arns["eksctl.yaml"] = each["roleARN"]
        else:
            names["eksctl.yaml"] = each.get("roleName")
    yield from differences(folder, "roles", arns)
    accounts = {where: arn.split(":")[4] for where, arn in arns.items()}
    accounts["trust-policy.json"] = terraform.account
    yield from differences(folder, "accounts", accounts)
    yield from differences(folder, "roles", names | {where: arn.partition(":role/")[2] for where, arn in arns.items()})


def differences(folder, what, named):
    if len(set(named.values())) > 1:
        yield f"{folder}: different {what}: {', '.join(f'{value} in {where}' for where, value in named.items())}"


def permissions(folder, terraform, iam):
    """The same in both files, and as few as possible."""
    roles = [*iam.get("serviceAccounts", []), *iam.get("podIdentityAssociations", [])]
    for policy in filter(None, (role.get("attachPolicy") or role.get("permissionPolicy") for role in roles)):
        if statements(policy) != terraform.permissions:
            yield f"{folder}: different permissions: {statements(policy)} in eksctl.yaml, {terraform.permissions} in main.tf"
    for each in terraform.permissions:
        if each["effect"] != "Allow":
            continue
        if any("*" in action for action in each["actions"]):
            yield f"{folder}: the permissions allow actions by a wildcard: {each['actions']}"
        elif "*" in each["resources"] and not set(each["actions"]) <= ANY_RESOURCE:
            yield f"{folder}: the permissions allow {each['actions']} on every resource"


def trust(folder, trusted, terraform, iam):
    """The trust policy of the role must be `trusted`, with both tools."""
    if terraform.trust != trusted:
        yield f"{folder}: the trust policy of main.tf is {terraform.trust}, not {trusted}"
    # For IRSA alone, eksctl writes the same conditions as main.tf. Otherwise a command replaces its trust policy.
    if "podIdentityAssociations" not in iam:
        return
    if statements(json.loads((folder / "trust-policy.json").read_text())) != trusted:
        yield f"{folder}: trust-policy.json is not {trusted}"
    role = terraform.variables["role_name"]
    command = f"aws iam update-assume-role-policy --role-name {role} --policy-document file://trust-policy.json"
    if f"\n#   {command}\n" not in (folder / "eksctl.yaml").read_text():
        yield f"{folder}: eksctl.yaml does not name the command: {command}"


def cluster_resources(folder, terraform, eksctl):
    """The identity provider of the cluster, and the agent."""
    iam = eksctl["iam"]
    audiences = terraform.resources.get("aws_iam_openid_connect_provider", {}).get("client_id_list", [])
    expected = ["sts.amazonaws.com"] if iam.get("withOIDC") else []
    if list(map(unquoted, audiences)) != expected or bool(expected) != ("serviceAccounts" in iam):
        yield f"{folder}: different identity providers: audiences {audiences} in main.tf, {expected} in eksctl.yaml"
    in_eksctl = [each["name"] for each in eksctl.get("addons", [])]
    in_terraform = [unquoted(terraform.resources[kind]["addon_name"]) for kind in terraform.resources if kind == "aws_eks_addon"]
    expected = [AGENT] if "podIdentityAssociations" in iam else []
    if in_eksctl != expected or in_terraform != expected:
        yield f"{folder}: different add-ons: {in_eksctl} in eksctl.yaml, {in_terraform} in main.tf, {expected} are needed"


def expected_trust(sources, references):
    """The trust policy that a role needs: this service account alone, in this cluster alone."""
    provider = references["aws_iam_openid_connect_provider.cluster.arn"]
    issuer, cluster = references["local.issuer"], references["data.aws_eks_cluster.this.arn"]
    namespace, account = references["var.namespace"], references["var.service_account"]
    irsa = {
        "Effect": "Allow",
        "Principal": {"Federated": provider},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {
                f"{issuer}:aud": "sts.amazonaws.com",
                f"{issuer}:sub": f"system:serviceaccount:{namespace}:{account}",
            }
        },
    }
    pod_identity = {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {
            "StringEquals": {
                "aws:RequestTag/eks-cluster-arn": cluster,
                "aws:RequestTag/kubernetes-namespace": namespace,
                "aws:RequestTag/kubernetes-service-account": account,
            }
        },
    }
    named = {"irsa": irsa, "pod-identity": pod_identity}
    return statements({"Statement": [named[source] for source in sources]})


def agreement(folder, sources, manifests):
    """`sources`: the credential sources of this folder, "irsa" and "pod-identity"."""
    eksctl = yaml.safe_load((folder / "eksctl.yaml").read_text())
    # main.tf does not contain the account and the issuer. They are taken from the other files.
    trust_policy = folder / "trust-policy.json"
    text = (trust_policy.read_text() if trust_policy.exists() else "") + json.dumps(manifests)
    account = re.search(r"arn:aws:\w+:[\w-]*:(\d{12}):", text)
    issuer = re.search(r":oidc-provider/([^\"]+)", text)
    try:
        terraform = Terraform(folder / "main.tf", account and account[1], issuer[1] if issuer else "ISSUER")
    except NotComparable as problem:
        yield str(problem)
        return
    yield from identities(folder, manifests, terraform, eksctl)
    yield from permissions(folder, terraform, eksctl["iam"])
    yield from trust(folder, expected_trust(sources, terraform.references), terraform, eksctl["iam"])
    yield from cluster_resources(folder, terraform, eksctl)
