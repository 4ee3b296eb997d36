// Webhooks: from the first URL to every attempt, with a receiver of our own that verifies by libraries that are not ours.

import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Webhook as Standard } from "standardwebhooks";
import { Webhook as Svix } from "svix";
import { expect, expectSaid, person, press, signIn, test, visit, type Page } from "../support/test.ts";

test.use({ environment: { WHEELHOUSE_WEBHOOK_ALLOW: "127.0.0.0/8", WHEELHOUSE_WEBHOOK_RETRY_SECONDS: "1,1" } });

const PAGE = "/w/acme/settings/webhooks";

type Got = { path: string; headers: IncomingHttpHeaders; body: string };

let receiver: Server;
let base: string;
const got: Got[] = [];

test.beforeAll(async () => {
  receiver = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      got.push({ path: request.url!, headers: request.headers, body });
      response.writeHead(request.url === "/down" ? 500 : 200, { "content-type": "application/json" });
      response.end(JSON.stringify({ received: true }));
    });
  });
  await new Promise<void>((ready) => receiver.listen(0, "127.0.0.1", ready));
  base = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
});

test.afterAll(() => receiver.close());

/** Makes a webhook that gets invitations, and ends on its page. */
async function create(page: Page, path: string): Promise<void> {
  await visit(page, PAGE);
  await page.getByLabel("URL", { exact: true }).fill(`${base}${path}`);
  await page.getByLabel("Description").fill(`For ${path}`);
  await page.getByRole("checkbox", { name: "member.invited" }).check();
  await press(page, page.getByRole("button", { name: "Create Webhook" }));
  await page.waitForURL(/\/settings\/webhooks\/whk_/);
  await expectSaid(page, "Webhook created");
}

const deliveries = (page: Page) => page.getByRole("table", { name: "Deliveries" });

test("the demo's webhooks are listed with how they fare", async ({ page }) => {
  await signIn(page, person.adam);
  await visit(page, PAGE);
  await expect(page.getByRole("row").filter({ hasText: "hooks.acme.example" })).toContainText("Enabled");
  await expect(page.getByRole("row").filter({ hasText: "old.acme.example" })).toContainText("Disabled");
  await page.getByRole("link", { name: /hooks\.acme\.example/ }).click();
  await expect(page.getByRole("img", { name: /^Last 24 hours: [\d,]+ attempts?/ })).toBeVisible();
  await expect(deliveries(page).getByRole("row")).not.toHaveCount(1);
});

test("a bad URL is refused at its field, and what was typed stays", async ({ page, browserConsole }) => {
  browserConsole.allowStatus(422);
  await signIn(page, person.adam);
  await visit(page, PAGE);
  await page.getByLabel("URL", { exact: true }).fill("http://169.254.169.254/latest/meta-data");
  await page.getByLabel("Description").fill("Curious");
  await page.getByRole("checkbox", { name: "contact.created" }).check();
  await press(page, page.getByRole("button", { name: "Create Webhook" }));
  await expect(page.getByText("Webhooks can't be sent to private or reserved addresses")).toBeVisible();
  await expect(page.getByLabel("Description")).toHaveValue("Curious");
  await expect(page.getByRole("checkbox", { name: "contact.created" })).toBeChecked();
});

test("filters are tried on the last events before anything is saved", async ({ page }) => {
  await signIn(page, person.adam);
  await visit(page, PAGE);
  await page.getByRole("checkbox", { name: "contact.created" }).check();
  await page.getByLabel("Path 1").fill("data.stage");
  await page.getByLabel("Operator 1").selectOption("equals");
  await page.getByLabel("Value 1", { exact: true }).fill("won");
  await press(page, page.getByRole("button", { name: "Preview Matches" }));
  await expectSaid(page, /^\d+ of the last \d+ events match(es)?$/);
  await expect(page.getByText("data.stage is “lead”, not “won”").first()).toBeVisible();
  await expect(page.getByLabel("Path 1")).toHaveValue("data.stage");
  await expect(page.getByRole("checkbox", { name: "contact.created" })).toBeChecked();
});

test("Test sends a sample, shows request and answer, and two libraries verify it", async ({ page }) => {
  await signIn(page, person.adam);
  await create(page, "/test");
  await page.getByLabel("Test event type").selectOption("contact.tagged");
  await press(page, page.getByRole("button", { name: "Test", exact: true }));
  await expectSaid(page, "Test delivered: 200");
  await page.waitForURL(/\?delivery=dlv_/);
  const opened = page.getByRole("region", { name: "Delivery" });
  await expect(opened).toContainText("contact.tagged");
  await opened.getByText("Attempt 1:").click();
  await expect(opened.getByText("webhook-signature: v1,")).toBeVisible();
  await expect(opened.getByText('"received": true')).toBeVisible();

  await press(page, page.getByRole("button", { name: "Show Secret" }));
  const secret = await page.getByLabel("Signing Secret").inputValue();
  const sample = got.find((one) => one.path === "/test")!;
  const headers = sample.headers as Record<string, string>;
  expect(new Standard(secret).verify(sample.body, headers)).toMatchObject({ type: "contact.tagged", mode: "test" });
  expect(new Svix(secret).verify(sample.body, headers)).toMatchObject({ id: headers["webhook-id"] });
  expect(() => new Standard(secret).verify(`${sample.body} `, headers)).toThrow();
});

test("an event arrives, and the open page follows", async ({ page, newVisitor, scripts }) => {
  await signIn(page, person.adam);
  await create(page, "/live");
  const other = await newVisitor();
  await signIn(other, person.olivia);
  await visit(other, "/w/acme/settings/members");
  await other.getByLabel("Email Address").fill("wanda@acme.example");
  await press(other, other.getByRole("button", { name: "Send Invitation" }));
  await expect.poll(() => got.filter((one) => one.path === "/live").length).toBe(1);
  if (!scripts) await page.reload();
  await expect(deliveries(page).getByRole("row").filter({ hasText: "member.invited" })).toContainText("Delivered");
});

test("a failed delivery is seen, filtered, and sent again", async ({ page, newVisitor }) => {
  await signIn(page, person.adam);
  await create(page, "/down");
  const other = await newVisitor();
  await signIn(other, person.olivia);
  await visit(other, "/w/acme/settings/members");
  await other.getByLabel("Email Address").fill("walt@acme.example");
  await press(other, other.getByRole("button", { name: "Send Invitation" }));
  const count = () => got.filter((one) => one.path === "/down").length;
  await expect.poll(count, { timeout: 20_000 }).toBe(3);
  expect(new Set(got.filter((one) => one.path === "/down").map((one) => one.headers["webhook-id"])).size).toBe(1);
  await page.getByRole("link", { name: "Failed", exact: true }).click();
  await page.waitForURL(/status=failed/);
  const row = deliveries(page).getByRole("row").filter({ hasText: "member.invited" });
  await expect(row).toContainText("500");
  await press(page, row.getByRole("button", { name: "Resend" }));
  await expectSaid(page, "Resending");
  await expect.poll(count, { timeout: 20_000 }).toBeGreaterThan(3);
});

test("paused, enabled again, rotated, deleted", async ({ page, browserConsole }) => {
  browserConsole.allowStatus(422);
  await signIn(page, person.adam);
  await create(page, "/life");
  await press(page, page.getByRole("button", { name: "Pause" }));
  await expectSaid(page, "Webhook paused");
  await expect(page.getByText("Paused by Adam Archer")).toBeVisible();
  await press(page, page.getByRole("button", { name: "Enable" }));
  await expectSaid(page, "Webhook enabled");
  await press(page, page.getByRole("button", { name: "Rotate Secret" }));
  await expect(page.getByLabel("Signing Secret")).toHaveValue(/^whsec_/);
  await expect(page.getByText("The previous secret also works")).toBeVisible();
  await page.getByLabel("Host", { exact: true }).fill("example.com");
  await press(page, page.getByRole("button", { name: "Delete Webhook" }));
  await expect(page.getByText("This host doesn't match")).toBeVisible();
  await page.getByLabel("Host", { exact: true }).fill("127.0.0.1");
  await press(page, page.getByRole("button", { name: "Delete Webhook" }));
  await page.waitForURL(/\/settings\/webhooks$/);
  await expect(page.getByText("For /life")).toHaveCount(0);
});

test("who may not manage webhooks is told who can help", async ({ page, browserConsole }) => {
  browserConsole.allowStatus(403);
  await signIn(page, person.mia);
  const response = await page.goto(PAGE);
  expect(response!.status()).toBe(403);
  await expect(page.getByText("Ask an owner or admin of this workspace")).toBeVisible();
  await expect(page.getByRole("link", { name: "Webhooks" })).toHaveCount(0);
});
