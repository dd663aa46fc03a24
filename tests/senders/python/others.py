"""Posts webhooks signed by the official libraries of Standard Webhooks, Svix and Slack.

Reads {"provider", "url", "secret", "headers", "body"} lines from standard input and prints one
line a post: status and answer. `headers` are sent as they are, beside those that the library
makes; `id` among the fields is the message's id.
"""

import json
import sys
import time
import urllib.error
import urllib.request
from datetime import datetime

import slack_sdk.signature
import standardwebhooks
import svix.webhooks


def standard(library, names: str, case: dict) -> dict:
    moment = datetime.utcnow()
    signature = library(case["secret"]).sign(case["id"], moment, case["body"])
    seconds = int((moment - datetime(1970, 1, 1)).total_seconds())
    return {
        f"{names}-id": case["id"],
        f"{names}-timestamp": str(seconds),
        f"{names}-signature": signature,
    }


def slack(case: dict) -> dict:
    verifier = slack_sdk.signature.SignatureVerifier(case["secret"])
    moment = str(int(time.time()))
    signature = verifier.generate_signature(timestamp=moment, body=case["body"])
    return {"X-Slack-Request-Timestamp": moment, "X-Slack-Signature": signature}


SIGNERS = {
    "standardwebhooks": lambda case: standard(standardwebhooks.Webhook, "webhook", case),
    "svix": lambda case: standard(svix.webhooks.Webhook, "svix", case),
    "slack": slack,
}


def post(case: dict) -> str:
    headers = {**case["headers"], **SIGNERS[case["provider"]](case)}
    request = urllib.request.Request(case["url"], data=case["body"].encode(), headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return f"{answer.status} {answer.read().decode()}"
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode()}"


for line in sys.stdin:
    print(post(json.loads(line)), flush=True)
