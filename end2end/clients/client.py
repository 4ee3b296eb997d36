"""Real calls with a client that openapi-python-client generated from the OpenAPI document."""

import os

from wheelhouse_client import AuthenticatedClient
from wheelhouse_client.api.contacts import create_contact, delete_contact, search_contacts
from wheelhouse_client.api.webhooks import create_webhook, delete_webhook
from wheelhouse_client.models import (
    Contact,
    ContactList,
    CreateContactRequest,
    CreateWebhookRequest,
    EventType,
    Filter,
    FilterOperator,
    Problem,
    Stage,
    Webhook,
)

client = AuthenticatedClient(
    base_url=os.environ["WHEELHOUSE_URL"] + "/api/v1", token=os.environ["WHEELHOUSE_KEY"]
)

wanted = CreateContactRequest(name="Generated Client", email="generated@client.example", tags=["typed"])
made = create_contact.sync(client=client, body=wanted)
assert isinstance(made, Contact), made
assert made.stage == Stage.LEAD

found = search_contacts.sync(client=client, tag=["typed"], stage=[Stage.LEAD, Stage.WON])
assert isinstance(found, ContactList), found
assert [contact.id for contact in found.data] == [made.id]

condition = Filter(path="data.stage", operator=FilterOperator.IN, value=["won", "lost"])
hook = create_webhook.sync(
    client=client,
    body=CreateWebhookRequest(
        url="https://example.com/webhooks", event_types=[EventType.CONTACT_CREATED], filters=[condition]
    ),
)
assert isinstance(hook, Webhook), hook
assert hook.filters[0].value == ["won", "lost"]

refused = create_contact.sync(client=client, body=CreateContactRequest(name="X", email="not an address"))
assert isinstance(refused, Problem), refused
assert refused.status == 422 and refused.type_ == "/api/docs#problem-invalid", refused

assert delete_webhook.sync_detailed(id=hook.id, client=client).status_code == 204
assert delete_contact.sync_detailed(id=made.id, client=client).status_code == 204
print("Python client: all calls worked")
