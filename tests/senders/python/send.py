"""Posts each line of a file as a webhook, signed by Stripe's official library.

    send.py URL SECRET FILE     prints one line a post: status and answer
    send.py --verify SECRET     reads {"header", "body"} lines from standard input and lets the
                                library judge them: prints `ok TYPE` or the refusal
"""

import json
import sys
import time
import urllib.error
import urllib.request

import stripe


def header(body: str, secret: str) -> str:
    moment = int(time.time())
    signature = stripe.WebhookSignature._compute_signature(f"{moment}.{body}", secret)
    return f"t={moment},{stripe.WebhookSignature.EXPECTED_SCHEME}={signature}"


def post(url: str, body: str, secret: str) -> str:
    request = urllib.request.Request(
        url,
        data=body.encode(),
        headers={
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": header(body, secret),
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        },
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return f"{answer.status} {answer.read().decode()}"
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode()}"


def verify(line: str, secret: str) -> str:
    request = json.loads(line)
    try:
        event = stripe.Webhook.construct_event(request["body"], request["header"], secret)
        return f"ok {event['type']}"
    except stripe.SignatureVerificationError as error:
        return f"refused {error}"


def main() -> None:
    if sys.argv[1] == "--verify":
        for line in sys.stdin:
            print(verify(line, sys.argv[2]), flush=True)
        return
    url, secret, path = sys.argv[1:]
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            print(post(url, line.rstrip("\n"), secret), flush=True)


if __name__ == "__main__":
    main()
