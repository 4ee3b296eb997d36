// Members: invitations from the first to the last step, roles, removals.

import { conflict } from "../support/answers.ts";
import { Server } from "../support/server.ts";
import { card, expect, expectSaid, person, press, signIn, signOut, test, visit, type Page } from "../support/test.ts";

const PAGE = "/w/acme/settings/members";

test.use({ environment: { WHEELHOUSE_CATALOG: Server.roomyCatalog() } });

const invitation = (page: Page, email: string) => card(page, "Pending Invitations").getByRole("row").filter({ has: page.getByRole("rowheader", { name: email }) });
const member = (page: Page, name: string) => card(page, "Member List").getByRole("row").filter({ has: page.getByRole("rowheader", { name }) });

async function invite(page: Page, email: string, role = "Member"): Promise<string> {
  await visit(page, PAGE);
  await page.getByLabel("Email Address").fill(email);
  await page.getByLabel("Role", { exact: true }).selectOption({ label: role });
  await press(page, page.getByRole("button", { name: "Send Invitation" }));
  await expectSaid(page, new RegExp(email));
  return link(page, email);
}

/** The link of an invitation, as the page hands it out. */
async function link(page: Page, email: string): Promise<string> {
  return (await invitation(page, email).getByLabel("Invitation link", { exact: true }).locator("input").or(
    invitation(page, email).locator("input[readonly]"),
  ).first().getAttribute("value"))!;
}

test("the page says who is here and in which role", async ({ page }) => {
  await signIn(page, person.olivia);
  await visit(page, PAGE);
  for (const role of ["Admin", "Member", "Client"]) {
    await expect(page.getByLabel("Role", { exact: true }).getByRole("option", { name: role })).toHaveCount(1);
  }
  await expect(page.getByText("Access to pipeline, contacts, automations").first()).toBeVisible();
  await expect(member(page, person.olivia.name).getByRole("img", { name: "Owner" })).toBeVisible();
  await expect(card(page, "Member List").getByRole("img", { name: "Owner" })).toHaveCount(1);
  await expect(page.getByText("4 members")).toBeVisible();
});

test("invitations are filtered by status, in the address", async ({ page }) => {
  await signIn(page, person.adam);
  await visit(page, PAGE);
  await expect(invitation(page, "ben@acme.example")).toBeVisible();
  for (const name of ["Pending", "Expired", "Accepted"]) {
    await expect(page.getByRole("link", { name, exact: true })).toHaveAccessibleDescription(/^\d+$/);
  }
  await page.getByRole("link", { name: "Expired", exact: true }).click();
  await page.waitForURL(/\?status=expired$/);
  await expect(invitation(page, "fay@acme.example")).toBeVisible();
  await expect(invitation(page, "ben@acme.example")).toHaveCount(0);
  await page.getByRole("link", { name: "Accepted", exact: true }).click();
  await page.waitForURL(/\?status=accepted$/);
  await expect(invitation(page, "mia@acme.example")).toBeVisible();
  await page.goBack();
  await expect(invitation(page, "fay@acme.example")).toBeVisible();
});

test("several are invited at once, each with its own result", async ({ page }) => {
  await signIn(page, person.adam);
  await visit(page, PAGE);
  await page.getByLabel("Email Address").fill("Zoe <zoe@acme.example>, nonsense, mia@acme.example; yan@acme.example");
  await press(page, page.getByRole("button", { name: "Send Invitation" }));
  const results = card(page, "Invite a New Member").getByRole("listitem");
  await expect(results).toHaveCount(4);
  await expect(results.filter({ hasText: "zoe@acme.example" })).toContainText("Invitation sent");
  await expect(results.filter({ hasText: "nonsense" })).toContainText("like name@example.com");
  await expect(results.filter({ hasText: "mia@acme.example" })).toContainText("Already a member");
  await expect(invitation(page, "yan@acme.example")).toBeVisible();
  // What was refused is still there to be fixed.
  await expect(page.getByLabel("Email Address")).toHaveValue("nonsense, mia@acme.example");
});

test("nothing typed is lost when an address is wrong", async ({ page, browserConsole }) => {
  browserConsole.allowStatus(422);
  await signIn(page, person.adam);
  await visit(page, PAGE);
  await page.getByLabel("Email Address").fill("not an address");
  await page.getByLabel("Role", { exact: true }).selectOption({ label: "Client" });
  await press(page, page.getByRole("button", { name: "Send Invitation" }));
  await expect(page.getByLabel("Email Address")).toHaveAccessibleDescription(/like name@example.com/);
  await expect(page.getByLabel("Email Address")).toHaveValue("not an address");
  await expect(page.getByLabel("Role", { exact: true })).toHaveValue("client");
});

test("someone new accepts, and creates the account on the way", async ({ page, newVisitor }) => {
  await signIn(page, person.olivia);
  const address = await invite(page, "nina@acme.example", "Client");
  const nina = await newVisitor();
  await visit(nina, address);
  await expect(nina.getByText("nina@acme.example")).toBeVisible();
  await nina.getByLabel("Name").fill("Nina Nash");
  await nina.getByLabel("Password").fill("unrelated words make sense");
  await press(nina, nina.getByRole("button", { name: "Accept Invitation" }));
  await nina.waitForURL("**/w/acme");

  await visit(page, PAGE);
  await expect(member(page, "Nina Nash")).toContainText("Client");
  await visit(page, `${PAGE}?status=accepted`);
  await expect(invitation(page, "nina@acme.example")).toBeVisible();
});

test("someone signed in with another address is told, and can switch", async ({ page, newVisitor }) => {
  await signIn(page, person.olivia);
  const address = await invite(page, "otto@acme.example");
  const greta = await newVisitor();
  await signIn(greta, person.greta);
  await visit(greta, address);
  await expect(greta.getByText("but you're signed in as")).toBeVisible();
  await press(greta, greta.getByRole("button", { name: "Sign Out and Continue" }));
  await expect(greta.getByRole("button", { name: "Accept Invitation" })).toBeVisible();
  await expect(greta.getByLabel("Name")).toBeVisible();
});

test("someone who has an account signs in first", async ({ page, newVisitor }) => {
  await signIn(page, person.olivia);
  const address = await invite(page, person.greta.email, "Client");
  const greta = await newVisitor();
  await visit(greta, address);
  await expect(greta.getByText("You already have an account")).toBeVisible();
  await press(greta, greta.getByRole("link", { name: "Sign In" }));
  await greta.waitForURL(/\/login\?next=/);
  await visit(page, PAGE);
  await press(page, invitation(page, person.greta.email).getByRole("button", { name: "Cancel" }));
});

test("someone who is signed in accepts with one click", async ({ page, newVisitor }) => {
  await signIn(page, person.olivia);
  const address = await invite(page, person.greta.email, "Admin");
  const greta = await newVisitor();
  await signIn(greta, person.greta);
  await visit(greta, address);
  await press(greta, greta.getByRole("button", { name: "Accept Invitation" }));
  await greta.waitForURL("**/w/acme");

  // A second look at the same link explains itself.
  await visit(greta, address);
  await expect(greta.getByText("You're already a member of")).toBeVisible();
});

test("a resent invitation has a new link, and the old one is dead", async ({ page, newVisitor, browserConsole }) => {
  browserConsole.allowStatus(404);
  await signIn(page, person.olivia);
  const old = await invite(page, "pia@acme.example");
  await press(page, invitation(page, "pia@acme.example").getByRole("button", { name: "Resend" }));
  await expectSaid(page, /resent to pia@acme.example/);
  await visit(page, PAGE);
  const fresh = await link(page, "pia@acme.example");
  expect(fresh).not.toBe(old);
  const pia = await newVisitor();
  const dead = await pia.goto(old);
  expect(dead?.status()).toBe(404);
  await visit(pia, fresh);
  await expect(pia.getByRole("button", { name: "Accept Invitation" })).toBeVisible();
});

test("a cancelled invitation is gone, and comes back by Undo", async ({ page }) => {
  await signIn(page, person.olivia);
  await visit(page, PAGE);
  await press(page, invitation(page, "dora@partner.example").getByRole("button", { name: "Cancel" }));
  await expectSaid(page, /dora@partner.example cancelled/);
  await expect(invitation(page, "dora@partner.example")).toHaveCount(0);
  await press(page, page.getByRole("button", { name: "Undo" }));
  await expectSaid(page, /dora@partner.example restored/);
  await expect(invitation(page, "dora@partner.example")).toBeVisible();
});

test("the link is copied", async ({ page, scripts, context }) => {
  test.skip(!scripts, "the clipboard takes a script");
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await signIn(page, person.olivia);
  await visit(page, PAGE);
  await invitation(page, "emil@acme.example").getByRole("button", { name: "Copy Link" }).click();
  await expectSaid(page, "Link copied");
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  expect(copied).toBe(await link(page, "emil@acme.example"));
  expect(copied).toContain("/invite/");
});

test("a refused clipboard opens the field with the link", async ({ page, scripts }) => {
  test.skip(!scripts, "the clipboard takes a script");
  await page.addInitScript(() => {
    Clipboard.prototype.writeText = () => Promise.reject(new DOMException("no", "NotAllowedError"));
  });
  await signIn(page, person.olivia);
  await visit(page, PAGE);
  await invitation(page, "emil@acme.example").getByRole("button", { name: "Copy Link" }).click();
  await expect(invitation(page, "emil@acme.example").getByRole("textbox", { name: "Invitation link" })).toBeFocused();
  await expectSaid(page, "Selected. Press Ctrl+C (⌘C) to copy");
});

test("without a script the link is there to be selected", async ({ page, scripts }) => {
  test.skip(scripts, "with scripts it is copied");
  await signIn(page, person.olivia);
  await visit(page, PAGE);
  await invitation(page, "emil@acme.example").getByRole("button", { name: "Copy Link" }).click();
  await expect(invitation(page, "emil@acme.example").getByRole("textbox", { name: "Invitation link" })).toBeVisible();
});

test("a role is changed and taken back", async ({ page }) => {
  await signIn(page, person.olivia);
  await visit(page, PAGE);
  await member(page, person.cleo.name).getByRole("button", { name: "Change Role" }).click();
  await member(page, person.cleo.name).getByLabel("New role").selectOption("member");
  await press(page, member(page, person.cleo.name).getByRole("button", { name: "Save Role" }));
  await expectSaid(page, "Cleo Chen is now a member");
  await press(page, page.getByRole("button", { name: "Undo" }));
  await expectSaid(page, "Cleo Chen is a client again");
});

test("a role that changes while a page is open changes what can be done there", async ({ page, newVisitor, scripts }) => {
  test.skip(!scripts, "live behaviour takes a script");
  await signIn(page, person.olivia);
  await visit(page, PAGE);
  const adam = await newVisitor();
  await signIn(adam, person.adam);
  await visit(adam, PAGE);
  await expect(adam.getByRole("button", { name: "Send Invitation" })).toBeVisible();

  const change = async (role: string) => {
    await member(page, person.adam.name).getByRole("button", { name: "Change Role" }).click();
    await member(page, person.adam.name).getByLabel("New role").selectOption(role);
    await member(page, person.adam.name).getByRole("button", { name: "Save Role" }).click();
    await expectSaid(page, /Adam Archer is/);
  };
  await change("client");
  await expect(adam.getByRole("button", { name: "Send Invitation" })).toHaveCount(0);
  await expect(adam.getByRole("link", { name: "Export CSV" })).toHaveCount(0);
  await change("admin");
  await expect(adam.getByRole("button", { name: "Send Invitation" })).toBeVisible();
  await expect(adam.getByRole("link", { name: "Export CSV" })).toBeVisible();
});

test("an Undo that is refused says why, and stays to be read", async ({ page, scripts, browserConsole }) => {
  test.skip(!scripts, "without scripts the page is loaded anew");
  test.setTimeout(60_000);
  browserConsole.allowStatus(409);
  await signIn(page, person.olivia);
  await visit(page, PAGE);
  await member(page, person.cleo.name).getByRole("button", { name: "Change Role" }).click();
  await member(page, person.cleo.name).getByLabel("New role").selectOption("member");
  await member(page, person.cleo.name).getByRole("button", { name: "Save Role" }).click();
  await expectSaid(page, "Cleo Chen is now a member");
  const refusal = await conflict(page, "The role has changed since. Undo is no longer available.");
  await page.route("**/fn/undo_change_role", (route) => route.fulfill({ status: 409, body: refusal }));
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(page.getByRole("alert")).toContainText("has changed since");
  await page.waitForTimeout(22_000);
  await expect(page.getByRole("alert")).toBeVisible();
  await page.unrouteAll({ behavior: "wait" });
  await page.getByRole("button", { name: "Undo" }).click();
  await expectSaid(page, "Cleo Chen is a client again");
});

test("an expired invitation says so", async ({ page, newVisitor }) => {
  await signIn(page, person.adam);
  await visit(page, `${PAGE}?status=expired`);
  const fay = await newVisitor();
  await visit(fay, await link(page, "fay@acme.example"));
  await expect(fay.getByText("This invitation has expired")).toBeVisible();
  await expect(fay.getByRole("button", { name: "Accept Invitation" })).toHaveCount(0);
});

test("a member is removed, sees nothing more, and comes back by Undo", async ({ page, newVisitor, browserConsole }) => {
  browserConsole.allowStatus(404);
  await signIn(page, person.olivia);
  await visit(page, PAGE);
  const mia = await newVisitor();
  await signIn(mia, person.mia);
  await visit(mia, "/w/acme/inbox");

  await member(page, person.mia.name).getByRole("button", { name: "Remove" }).click();
  await expect(page.getByText("Mia Moreno will lose access immediately")).toBeVisible();
  await press(page, member(page, person.mia.name).getByRole("button", { name: "Remove Member" }));
  await expectSaid(page, "Mia Moreno removed");
  await expect(member(page, person.mia.name)).toHaveCount(0);
  // Not by going there: her open window is on its way already.
  expect((await mia.request.get("/w/acme/inbox")).status()).toBe(404);

  await press(page, page.getByRole("button", { name: "Undo" }));
  await expectSaid(page, "Mia Moreno restored");
  await expect(member(page, person.mia.name)).toBeVisible();
});

test("members are searched, and exported", async ({ page }) => {
  await signIn(page, person.adam);
  await visit(page, PAGE);
  await page.getByRole("searchbox", { name: "Search members" }).fill("archer");
  await press(page, page.getByRole("button", { name: "Search", exact: true }).last());
  await page.waitForURL(/search=archer/);
  await expect(member(page, person.adam.name)).toBeVisible();
  await expect(member(page, person.olivia.name)).toHaveCount(0);

  // A search and a filter stand in the address together, whatever is searched for.
  await visit(page, `${PAGE}?search=${encodeURIComponent("a&b #1")}`);
  await page.getByRole("link", { name: "Expired", exact: true }).click();
  await page.waitForURL(/status=expired/);
  expect(new URL(page.url()).searchParams.get("search")).toBe("a&b #1");
  await page.getByRole("searchbox", { name: "Search members" }).fill("mia");
  await press(page, page.getByRole("button", { name: "Search", exact: true }).last());
  await page.waitForURL(/search=mia/);
  expect(new URL(page.url()).searchParams.get("status")).toBe("expired");

  const answer = await page.request.get("/w/acme/members.csv");
  expect(answer.headers()["content-type"]).toContain("text/csv");
  expect(await answer.text()).toContain('"Adam Archer","adam@acme.example","Admin"');
});

test("a member sees the list and nothing to press; a client sees no addresses", async ({ page, newVisitor, browserConsole }) => {
  browserConsole.allowStatus(401);
  await signIn(page, person.mia);
  await visit(page, PAGE);
  await expect(page.getByRole("button", { name: "Send Invitation" })).toHaveCount(0);
  await expect(page.getByRole("button", { name: "Remove" })).toHaveCount(0);
  await expect(page.getByText(person.olivia.email)).toBeVisible();
  await signOut(page);

  const cleo = await newVisitor();
  await signIn(cleo, person.cleo);
  await visit(cleo, PAGE);
  await expect(cleo.getByText(person.olivia.name)).toBeVisible();
  await expect(cleo.getByText(person.olivia.email)).toHaveCount(0);
  expect((await cleo.request.get("/w/acme/members.csv")).status()).toBe(403);
});

test("an open window follows what happens elsewhere, and keeps what is being typed", async ({ page, newVisitor, scripts }) => {
  test.skip(!scripts, "live behaviour takes a script");
  await signIn(page, person.olivia);
  await visit(page, PAGE);
  await page.getByLabel("Email Address").fill("half@typed");
  const adam = await newVisitor();
  await signIn(adam, person.adam);
  await invite(adam, "quinn@acme.example");
  await expect(invitation(page, "quinn@acme.example")).toBeVisible({ timeout: 1000 });
  await expect(page.getByLabel("Email Address")).toHaveValue("half@typed");
  await page.getByLabel("Email Address").fill("");
});

test("a removed member's open window closes by itself", async ({ page, newVisitor, scripts, browserConsole }) => {
  test.skip(!scripts, "live behaviour takes a script");
  browserConsole.allowStatus(401, 404);
  await signIn(page, person.olivia);
  const address = await invite(page, "rita@acme.example");
  const rita = await newVisitor();
  await visit(rita, address);
  await rita.getByLabel("Name").fill("Rita Rossi");
  await rita.getByLabel("Password").fill("unrelated words make sense");
  await rita.getByRole("button", { name: "Accept Invitation" }).click();
  await rita.waitForURL("**/w/acme");
  await visit(rita, PAGE);
  await expect(rita.getByText(person.olivia.name).first()).toBeVisible();

  await visit(page, PAGE);
  await member(page, "Rita Rossi").getByRole("button", { name: "Remove" }).click();
  await member(page, "Rita Rossi").getByRole("button", { name: "Remove Member" }).click();
  await expect(rita.getByText(person.olivia.name)).toHaveCount(0, { timeout: 3000 });
});
