// Real calls with a client that openapi-typescript generated from the OpenAPI document. That it compiles is half of the
// test.

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

const { WHEELHOUSE_URL, WHEELHOUSE_KEY } = process.env;
const api = createClient<paths>({
  baseUrl: `${WHEELHOUSE_URL}/api/v1`,
  headers: { Authorization: `Bearer ${WHEELHOUSE_KEY}` },
});

const me = await api.GET("/me");
assert.equal(me.data?.type, "live");

const wanted: components["schemas"]["CreateContactRequest"] = { name: "Generated Client", email: "generated@client.example", tags: ["typed"] };
const made = await api.POST("/contacts", { body: wanted });
assert.ok(made.data, JSON.stringify(made.error));
assert.equal(made.data.stage, "lead");

const found = await api.GET("/contacts/search", { params: { query: { tag: ["typed"], stage: ["lead", "won"] } } });
assert.deepEqual(found.data?.data.map((contact) => contact.id), [made.data.id]);
assert.equal(found.data.next_cursor, null);

const filters: components["schemas"]["Filter"][] = [
  { path: "data.stage", operator: "in", value: ["won", "lost"] },
  { path: "data.name", operator: "exists" },
];
const hook = await api.POST("/webhooks", {
  body: { url: "https://example.com/webhooks", event_types: ["contact.created"], filters },
});
assert.ok(hook.data, JSON.stringify(hook.error));
assert.ok(hook.data.secret);
const changed = await api.PATCH("/webhooks/{id}", { params: { path: { id: hook.data.id } }, body: { status: "paused" } });
assert.equal(changed.data?.status, "paused");
assert.deepEqual(changed.data.filters, filters);

const refused = await api.POST("/contacts", { body: { ...wanted, email: "not an address" } });
assert.equal(refused.response.status, 422);
const kind: components["schemas"]["Problem"]["type"] | undefined = refused.error?.type;
assert.equal(kind, "/api/docs#problem-invalid");
assert.ok(refused.error?.errors?.email);

await api.DELETE("/webhooks/{id}", { params: { path: { id: hook.data.id } } });
const gone = await api.DELETE("/contacts/{id}", { params: { path: { id: made.data.id } } });
assert.equal(gone.response.status, 204);
console.log("TypeScript client: all calls worked");
