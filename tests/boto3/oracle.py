"""Prints the credentials that botocore finds in this environment, as one line of JSON, without secrets."""

import json

from botocore.session import Session


def found() -> dict[str, str | None]:
    credentials = Session().get_credentials()
    if credentials is None:
        return {"error": "no credentials found"}
    # With IRSA, botocore sends the request only here.
    keys = credentials.get_frozen_credentials()
    return {"method": credentials.method, "account": keys.account_id, "access_key": keys.access_key}


try:
    result = found()
except Exception as e:  # The test expects some errors, and prints the others.
    result = {"error": f"{type(e).__name__}: {e}"}
print(json.dumps(result))
