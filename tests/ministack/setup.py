"""Creates the resources for a pod in MiniStack: an OIDC provider, a role for IRSA and EKS Pod Identity, a role that this role
may assume, and a bucket.

setup.py <endpoint> <role ARN> <issuer> <subject> <bucket> <object key>...
"""

import json
import sys
from typing import Any

import boto3

AUDIENCE = "sts.amazonaws.com"


def trust(provider: str, issuer: str, subject: str) -> dict[str, Any]:
    # Kubernetes writes `aud` as a list. With StringEquals, MiniStack compares the text of the whole list.
    irsa = {
        "Effect": "Allow",
        "Principal": {"Federated": provider},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {f"{issuer}:sub": subject},
            "ForAnyValue:StringEquals": {f"{issuer}:aud": AUDIENCE},
        },
    }
    pod_identity = {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }
    return {"Version": "2012-10-17", "Statement": [irsa, pod_identity]}


def chained_trust(role_arn: str) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": role_arn},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"sts:ExternalId": "example"}},
            }
        ],
    }


def permissions(bucket: str, chained: str) -> dict[str, Any]:
    arn = f"arn:aws:s3:::{bucket}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"},
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": arn},
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"{arn}/*"},
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": chained},
        ],
    }


def main(endpoint: str, role_arn: str, issuer: str, subject: str, bucket: str, *keys: str) -> None:
    account, role = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
    # In MiniStack, the access key ID of an account's root user is the account ID.
    session = boto3.Session(aws_access_key_id=account, aws_secret_access_key="test", region_name="eu-central-1")
    iam = session.client("iam", endpoint_url=endpoint)
    s3 = session.client("s3", endpoint_url=endpoint)

    provider = iam.create_open_id_connect_provider(Url=issuer, ClientIDList=[AUDIENCE])["OpenIDConnectProviderArn"]
    document = trust(provider, issuer.removeprefix("https://"), subject)
    created = iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(document))["Role"]["Arn"]
    assert created == role_arn, created
    chained_trust_policy = json.dumps(chained_trust(role_arn))
    chained = iam.create_role(RoleName="chained", AssumeRolePolicyDocument=chained_trust_policy)["Role"]["Arn"]
    for name in (role, "chained"):
        policy = json.dumps(permissions(bucket, chained))
        iam.put_role_policy(RoleName=name, PolicyName="read", PolicyDocument=policy)

    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())


main(*sys.argv[1:])
