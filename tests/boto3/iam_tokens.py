"""Prints the IAM tokens that botocore and the signer of MSK make, as one list of JSON. Reads what they are made of from stdin."""

import base64
import datetime
import json
import sys
from unittest import mock

import botocore.auth
import botocore.session
from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
from botocore.credentials import CredentialProvider, Credentials


def base64url(text):
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def client(service, region):
    session = botocore.session.Session()
    session.set_credentials(KEYS.access_key, KEYS.secret_key, KEYS.token)
    return session.create_client(service, region_name=region)


def presigned(service, region, host, query, expires):
    """A presigned URL without its scheme, for services without a function of their own in botocore."""
    sts = client("sts", region)  # the signer holds only a weak reference to its client
    request = {"url": f"https://{host}/", "body": query, "headers": {}, "method": "GET", "query_string": "", "context": {}}
    url = sts._request_signer.generate_presigned_url(
        request, "connect", region_name=region, expires_in=expires, signing_name=service
    )
    return url.removeprefix("https://")


def rds(region, expires, host, port, user):
    if expires != 900:
        return presigned("rds-db", region, f"{host}:{port}", {"Action": "connect", "DBUser": user}, expires)
    return client("rds", region).generate_db_auth_token(host, port, user)


def dsql(region, expires, host):
    return client("dsql", region).generate_db_connect_auth_token(host, ExpiresIn=expires)


def dsql_admin(region, expires, host):
    return client("dsql", region).generate_db_connect_admin_auth_token(host, ExpiresIn=expires)


def elasticache(region, expires, cache, user):
    return presigned("elasticache", region, cache, {"Action": "connect", "User": user}, expires)


def elasticache_serverless(region, expires, cache, user):
    query = {"Action": "connect", "User": user, "ResourceType": "ServerlessCache"}
    return presigned("elasticache", region, cache, query, expires)


def memorydb(region, expires, cluster, user):
    return presigned("memorydb", region, cluster, {"Action": "connect", "User": user}, expires)


def msk(region, expires):
    class Fixed(CredentialProvider):
        def load(self):
            return KEYS

    with mock.patch.object(MSKAuthTokenProvider, "DEFAULT_TOKEN_EXPIRY_SECONDS", expires):
        return MSKAuthTokenProvider.generate_auth_token_from_credentials_provider(region, Fixed())[0]


def eks(region, expires, cluster):
    sts = client("sts", region)
    header = lambda request, **_: request.headers.add_header("x-k8s-aws-id", cluster)
    sts.meta.events.register("before-sign.sts.GetCallerIdentity", header)
    url = sts.generate_presigned_url("get_caller_identity", ExpiresIn=expires, HttpMethod="GET")
    return "k8s-aws-v1." + base64url(url)


given = json.load(sys.stdin)
KEYS = Credentials(given["access_key"], given["secret_key"], given["token"])
NOW = datetime.datetime.fromtimestamp(given["time"], datetime.timezone.utc)
SERVICES = [rds, dsql, dsql_admin, elasticache, elasticache_serverless, memorydb, msk, eks]
BY_NAME = {service.__name__: service for service in SERVICES}

with mock.patch.object(botocore.auth, "get_current_datetime", lambda: NOW):
    tokens = [BY_NAME[case.pop("service")](**case) for case in given["cases"]]
print(json.dumps(tokens))
