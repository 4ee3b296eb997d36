"""Verifies a delivery with two libraries that are not ours. On standard input: secrets, headers and body as JSON."""

import json
import sys

import standardwebhooks.webhooks
import svix.webhooks

sent = json.load(sys.stdin)
for library in (standardwebhooks.webhooks, svix.webhooks):
    for secret in sent["secrets"]:
        event = library.Webhook(secret).verify(sent["body"], sent["headers"])
        event = json.loads(event) if isinstance(event, (str, bytes)) else event
        assert event is None or event["id"] == sent["headers"]["webhook-id"], event
    for wrong in (sent["body"] + " ", sent["body"].replace("evt_", "evt-")):
        try:
            library.Webhook(sent["secrets"][0]).verify(wrong, sent["headers"])
        except Exception:
            continue
        sys.exit(f"{library.__name__} took a body that was not signed")
print("verified")
