// API Keys: made and shown once, rotated, narrowed, revoked; and who may come near them.

import type { Locator } from "@playwright/test";
import { card, expect, expectSaid, person, press, signIn, test, visit, type Page } from "../support/test.ts";

const PAGE = "/w/acme/settings/api-keys";
const KEY = /^wh_(live|test)_[0-9A-Za-z]{34}$/;

const row = (page: Page, name: string): Locator =>
  card(page, "Keys").getByRole("row").filter({ has: page.getByRole("rowheader", { name }) });

/** Makes a key from the list, and gives the key. */
async function make(page: Page, name: string, type: "Live" | "Test" = "Live", scopes = ["Read Contacts"]): Promise<string> {
  await visit(page, PAGE);
  await press(page, page.getByRole("button", { name: "Create API Key" }));
  await page.waitForURL(/\?new=1$/);
  await page.getByLabel("Name").fill(name);
  await page.getByRole("radio", { name: type }).check();
  for (const scope of scopes) await page.getByRole("checkbox", { name: scope }).check();
  await press(page, page.getByRole("button", { name: "Create Key" }));
  await page.waitForURL((url) => url.pathname === PAGE && url.search === "");
  return page.getByLabel("API Key").inputValue();
}

test("a key is made, shown once with a ready command, and is in the list", async ({ page, scripts }) => {
  await signIn(page, person.adam);
  const key = await make(page, "Importer", "Test", ["Read Contacts", "Write Contacts", "Manage Webhooks"]);
  expect(key).toMatch(KEY);
  expect(key).toMatch(/^wh_test_/);
  if (scripts) await expect(page.getByLabel("API Key")).toBeFocused();
  await expectSaid(page, /Key created/);
  await expect(page.getByLabel("API Key")).toHaveAttribute("readonly", "");
  await expect(page.getByText(`Authorization: Bearer ${key}`)).toBeVisible();
  const made = row(page, "Importer");
  await expect(made).toContainText(`${key.slice(0, 12)}…${key.slice(-4)}`);
  await expect(made).toContainText("Test");
  await expect(made).toContainText("Adam Archer");
  await made.getByText("+1 more").click();
  await expect(made.getByText("Manage Webhooks")).toBeVisible();
  if (scripts) {
    await page.getByRole("button", { name: "Copy", exact: true }).click();
    await expectSaid(page, /Copied to clipboard|Press Ctrl\+C/);
  }

  await visit(page, PAGE);
  await expect(row(page, "Importer")).toBeVisible();
  await expect(page.getByLabel("API Key")).toHaveCount(0);
  expect(await page.content()).not.toContain(key);
});

test("leaving the page forgets the key", async ({ page, scripts }) => {
  test.skip(!scripts, "without scripts every page is loaded anew");
  await signIn(page, person.adam);
  await make(page, "Forgetful");
  await page.getByRole("link", { name: "Members", exact: true }).click();
  await page.waitForURL("**/settings/members");
  await page.getByRole("link", { name: "API Keys", exact: true }).click();
  await expect(row(page, "Forgetful")).toBeVisible();
  await expect(page.getByLabel("API Key")).toHaveCount(0);
});

test("nothing typed is lost when something is missing", async ({ page, browserConsole }) => {
  browserConsole.allowStatus(422);
  await signIn(page, person.adam);
  await visit(page, `${PAGE}?new=1`);
  await page.getByLabel("Name").fill("Half a key");
  await page.getByRole("radio", { name: "Test" }).check();
  await page.getByLabel("Allowed IP addresses").fill("203.0.113.7");
  await press(page, page.getByRole("button", { name: "Create Key" }));
  await expect(page.getByText("Choose at least one scope")).toBeVisible();
  await expect(page.getByLabel("Name")).toHaveValue("Half a key");
  await expect(page.getByRole("radio", { name: "Test" })).toBeChecked();
  await expect(page.getByLabel("Allowed IP addresses")).toHaveValue("203.0.113.7");

  await page.getByRole("checkbox", { name: "Read Lists" }).check();
  await page.getByLabel("Allowed IP addresses").fill("home");
  await press(page, page.getByRole("button", { name: "Create Key" }));
  await expect(page.getByLabel("Allowed IP addresses")).toHaveAccessibleDescription(/“home” isn't a valid IP address/);
  await expect(page.getByRole("checkbox", { name: "Read Lists" })).toBeChecked();
});

test("scopes are selected all at once, by group, or those that read", async ({ page }) => {
  await signIn(page, person.olivia);
  await visit(page, `${PAGE}?new=1`);
  await page.getByLabel("Name").fill("Everything");
  const checked = page.getByRole("checkbox", { checked: true });
  await press(page, page.getByRole("button", { name: "All of Contacts & Messaging" }));
  await expect(checked).toHaveCount(4);
  await press(page, page.getByRole("button", { name: "Select All" }));
  await expect(checked).toHaveCount(27);
  await press(page, page.getByRole("button", { name: "Read Only" }));
  await expect(page.getByRole("checkbox", { name: "Write Contacts" })).not.toBeChecked();
  await expect(page.getByRole("checkbox", { name: "Read Analytics" })).toBeChecked();
  await press(page, page.getByRole("button", { name: "Clear", exact: true }));
  await expect(checked).toHaveCount(0);
  await press(page, page.getByRole("button", { name: "Select All" }));
  await expect(page.getByLabel("Name")).toHaveValue("Everything");
  await press(page, page.getByRole("button", { name: "Create Key" }));
  await expect(row(page, "Everything")).toContainText("+25 more");
});

test("Enter in the name makes the key and selects nothing", async ({ page }) => {
  await signIn(page, person.olivia);
  await visit(page, `${PAGE}?new=1`);
  await page.getByRole("checkbox", { name: "Read Tags" }).check();
  await page.getByLabel("Name").fill("By keyboard");
  await page.getByLabel("Name").press("Enter");
  await expect(row(page, "By keyboard")).toContainText("Read Tags");
});

test("a key is rotated: both work for a while, and the old one is stopped", async ({ page }) => {
  await signIn(page, person.adam);
  const old = await make(page, "Nightly sync");
  await visit(page, PAGE);
  await row(page, "Nightly sync").getByRole("button", { name: "Rotate" }).click();
  await page.getByRole("dialog", { name: "Rotate Nightly sync" }).getByLabel("Old key expires").selectOption({ label: "In 7 days" });
  await press(page, page.getByRole("dialog", { name: "Rotate Nightly sync" }).getByRole("button", { name: "Rotate Key" }));
  await expectSaid(page, /Key rotated\. The old key works until/);
  const fresh = await page.getByLabel("API Key").inputValue();
  expect(fresh).toMatch(KEY);
  expect(fresh).not.toBe(old);
  await expect(row(page, "Nightly sync")).toHaveCount(2);
  const retiring = row(page, "Nightly sync").filter({ hasText: old.slice(-4) });
  await expect(retiring).toContainText("Rotating");
  await press(page, retiring.getByRole("button", { name: "Expire Now" }));
  await expectSaid(page, "Old Nightly sync key expired");
  await expect(row(page, "Nightly sync").filter({ hasText: old.slice(-4) })).toContainText("Rotated");
});

test("a key is revoked by its typed name, and stays in the list", async ({ page, browserConsole }) => {
  browserConsole.allowStatus(422);
  await signIn(page, person.olivia);
  await make(page, "Leaked");
  await visit(page, PAGE);
  const dialog = page.getByRole("dialog", { name: "Revoke Leaked?" });
  await row(page, "Leaked").getByRole("button", { name: "Revoke" }).click();
  await dialog.getByLabel("Key name").fill("leaked");
  await press(page, dialog.getByRole("button", { name: "Revoke Key" }));
  await expect(dialog.getByLabel("Key name")).toHaveAccessibleDescription(/This name doesn't match/);
  await dialog.getByLabel("Key name").fill("Leaked");
  await press(page, dialog.getByRole("button", { name: "Revoke Key" }));
  await expectSaid(page, "Leaked revoked");
  await expect(row(page, "Leaked")).toContainText("Revoked");
  await expect(row(page, "Leaked").getByRole("button", { name: "Revoke" })).toHaveCount(0);
});

test("the list is filtered in the address", async ({ page }) => {
  await signIn(page, person.adam);
  await visit(page, PAGE);
  await expect(row(page, "Website form")).toBeVisible();
  await page.getByRole("link", { name: /^Revoked/ }).click();
  await page.waitForURL(/status=revoked/);
  await expect(row(page, "Spreadsheet export")).toBeVisible();
  await expect(row(page, "Website form")).toHaveCount(0);
  await page.goBack();
  await expect(row(page, "Website form")).toBeVisible();
  await page.getByRole("searchbox", { name: "Search" }).fill("local");
  await press(page, page.getByRole("search").getByRole("button", { name: "Search" }));
  await page.waitForURL(/search=local/);
  await expect(row(page, "Local development")).toBeVisible();
  await expect(row(page, "Website form")).toHaveCount(0);
});

test("a key's own page says what it did, renames it and narrows it", async ({ page }) => {
  await signIn(page, person.olivia);
  await visit(page, PAGE);
  await expect(row(page, "Website form")).toContainText("3 scopes never used");
  await page.getByRole("link", { name: "Website form" }).click();
  await page.waitForURL(/\/api-keys\/key_/);
  await expect(card(page, "Requests").getByRole("row")).toHaveCount(9);
  await expect(card(page, "Requests")).toContainText("/api/v1/contacts/search");
  await expect(card(page, "Details")).toContainText("203.0.113.24");

  await page.getByLabel("Name", { exact: true }).fill("Contact form");
  await press(page, page.getByRole("button", { name: "Save Changes" }));
  await expectSaid(page, "Changes saved");
  await expect(card(page, "Details")).toContainText("Contact form");

  await card(page, "Scopes").getByRole("checkbox", { name: "Write Events" }).uncheck();
  await press(page, page.getByRole("button", { name: "Remove Unchecked Scopes" }));
  await expectSaid(page, "Scopes updated");
  await expect(card(page, "Scopes").getByRole("checkbox")).toHaveCount(4);
});

test("another page shows a new key within a second", async ({ page, newVisitor, scripts }) => {
  test.skip(!scripts, "following takes a script");
  await signIn(page, person.olivia);
  await visit(page, PAGE);
  const adam = await newVisitor();
  await signIn(adam, person.adam);
  await make(adam, "Seen by both");
  await expect(row(page, "Seen by both")).toBeVisible({ timeout: 3_000 });
  await expect(page.getByLabel("API Key")).toHaveCount(0);
});

test("who has no keys yet sees how to begin", async ({ page }) => {
  await signIn(page, person.greta);
  await visit(page, "/w/globex/settings/api-keys");
  await expect(page.getByText("No API keys yet")).toBeVisible();
  await expect(page.getByText(/curl http.*\/api\/v1\/me/)).toBeVisible();
  await expect(page.getByRole("button", { name: "API Docs" })).toBeVisible();
});

test("members and clients find no DEVELOPER group, and a page that says who can help", async ({ page, browserConsole }) => {
  browserConsole.allowStatus(403);
  await signIn(page, person.mia);
  await expect(page.getByText("DEVELOPER", { exact: true })).toHaveCount(0);
  const answer = await page.goto(PAGE);
  expect(answer?.status()).toBe(403);
  await expect(page.getByText(/Ask an owner or admin/)).toBeVisible();
});

test("removing a member says which keys they made", async ({ page }) => {
  await signIn(page, person.olivia);
  await visit(page, "/w/acme/settings/members");
  const adam = card(page, "Member List").getByRole("row").filter({ has: page.getByRole("rowheader", { name: person.adam.name }) });
  await adam.getByRole("button", { name: "Remove" }).click();
  await expect(page.getByRole("dialog", { name: "Remove Adam Archer" })).toContainText("API keys they created will keep working");
});
