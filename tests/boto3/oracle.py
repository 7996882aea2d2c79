"""Which credentials botocore finds in this environment, as one line of JSON."""

import json

from botocore.session import Session


def found() -> dict[str, str | None]:
    credentials = Session().get_credentials()
    if credentials is None:
        return {"error": "no credentials found"}
    # IRSA is asked for here, and not before.
    keys = credentials.get_frozen_credentials()
    return {"method": credentials.method, "account": keys.account_id, "access_key": keys.access_key}


try:
    answer = found()
except Exception as e:  # Whatever it is, it is the answer.
    answer = {"error": f"{type(e).__name__}: {e}"}
print(json.dumps(answer))
