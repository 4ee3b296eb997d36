"""Signs a body as Stripe's own library does, and lets it check a signature of ours.

Reads {"secret", "second", "body", "header"} from stdin and prints the library's header, if it accepts ours.
"""

import json
import sys

import stripe

asked = json.load(sys.stdin)
secret, body = asked["secret"], asked["body"]
stripe.WebhookSignature.verify_header(body, asked["header"], secret, tolerance=300)
signed = stripe.WebhookSignature._compute_signature(f"{asked['second']}.{body}", secret)
print(f"t={asked['second']},v1={signed}")
