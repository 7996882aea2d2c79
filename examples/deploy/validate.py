"""Validates the files of this folder, without a cluster and without an AWS account. Exit code 1 if there is a problem.

    python validate.py --provider cdktf_cdktf_provider_aws-21.22.1-py3-none-any.whl \\
        --operator cloudcoil_models_prometheus_operator-0.80.1.0-py3-none-any.whl [FOLDER]

- base, irsa, pod-identity, both, monitoring: `kubectl kustomize` renders them. The objects are validated strictly against the
  API of an old and of a new Kubernetes version (kubernetes-validate), and against the custom resources of
  prometheus-operator 0.80.1 (read from the Python models of cloudcoil).
- main.tf: the syntax, the arguments of each block (the schema of hashicorp/aws 6.25.0, read from its Python bindings), and
  the references.
- eksctl.yaml: eksctl's schema is in no package registry. It is validated against a copy of the part that these files use.
- Dockerfile: hadolint.
- The files of a folder agree on the cluster, the service account, the role, its permissions and its trust policy.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from checks import access, eksctl, kubernetes, terraform

# The overlays, and the credential sources that their roles trust.
OVERLAYS = {"irsa": ["irsa"], "pod-identity": ["pod-identity"], "both": ["irsa", "pod-identity"]}


def dockerfile(path):
    done = subprocess.run(["hadolint", "--no-color", path], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        yield (done.stdout + done.stderr).strip()


def overlay(folder, sources, provider, operator):
    manifests = kubernetes.render(folder)
    found = [*kubernetes.objects(folder, manifests, operator), *eksctl.config(folder / "eksctl.yaml")]
    found += terraform.configuration(folder / "main.tf", provider)
    # Only valid files can be compared.
    return found or access.agreement(folder, sources, manifests)


def problems(root, provider, operator):
    yield from dockerfile(root / "Dockerfile")
    try:
        for name, sources in OVERLAYS.items():
            yield from overlay(root / name, sources, provider, operator)
        monitoring = root / "monitoring"
        yield from kubernetes.objects(monitoring, kubernetes.render(monitoring), operator)
    except kubernetes.RenderError as error:
        yield str(error)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--provider", required=True, help="the wheel of cdktf-cdktf-provider-aws")
    parser.add_argument("--operator", required=True, help="the wheel of cloudcoil.models.prometheus_operator")
    parser.add_argument("folder", nargs="?", default=Path(__file__).parent, type=Path)
    options = parser.parse_args()
    found = list(problems(options.folder, terraform.Provider(options.provider), kubernetes.Operator(options.operator)))
    for problem in found:
        print(problem)
    versions = " and ".join(kubernetes.VERSIONS)
    print(f"Kubernetes {versions}, prometheus-operator, Terraform, eksctl, Dockerfile: {len(found) or 'no'} problems")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
