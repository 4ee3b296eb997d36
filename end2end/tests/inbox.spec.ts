// The inbox and the bell.

import { expect, expectSaid, person, press, signIn, test, visit } from "../support/test.ts";

test("notifications are read, filtered, and lead to the cell they came by", async ({ page, scripts }) => {
  await signIn(page, person.olivia);
  await expect(page.getByRole("link", { name: /^Inbox, \d+ unread$/ })).toBeVisible();
  await visit(page, "/w/acme/inbox");
  const items = page.getByRole("main").getByRole("listitem");
  const before = await page.getByRole("button", { name: "Mark read" }).count();
  expect(before).toBeGreaterThan(3);

  await press(page, page.getByRole("button", { name: "Mark read" }).first());
  await expect(page.getByRole("button", { name: "Mark read" })).toHaveCount(before - 1);
  await expect(page.getByRole("button", { name: "Mark unread" })).toHaveCount(1);

  await page.getByRole("link", { name: "Automations", exact: true }).click();
  await page.waitForURL(/\/inbox\?type=automations$/);
  await expect(items.first()).toContainText("Automations");
  await expect(items.filter({ hasNotText: "Automations" })).toHaveCount(0);
  await page.goBack();
  await page.waitForURL((url) => url.search === "" || url.search === "?");
  await expect(items.filter({ hasNotText: "Automations" }).first()).toBeVisible();

  await items.filter({ hasText: "Contacts" }).getByRole("link", { name: "Why did I get this?" }).first().click();
  await page.waitForURL("**/settings/notifications#contacts-in_app");
  const cell = page.getByRole("switch", { name: "Contacts: In-app" });
  await expect(cell).toBeInViewport();
  if (scripts) await expect(cell).toBeFocused();
  await expect(page.getByRole("row").filter({ has: cell })).not.toHaveCSS("background-color", "rgba(0, 0, 0, 0)");
});

test("all are read at once", async ({ page }) => {
  await signIn(page, person.adam);
  await visit(page, "/w/acme/inbox");
  await press(page, page.getByRole("button", { name: "Mark all read" }));
  await expectSaid(page, /marked as read|All read|read/i);
  await expect(page.getByRole("button", { name: "Mark read" })).toHaveCount(0);
  await expect(page.getByRole("link", { name: "Inbox", exact: true }).first()).toBeVisible();
});

test("what somebody else does arrives by itself", async ({ page, newVisitor, scripts }) => {
  test.skip(!scripts, "live behaviour takes a script");
  await signIn(page, person.adam);
  await visit(page, "/w/acme/inbox");
  await press(page, page.getByRole("button", { name: "Mark all read" }));
  await expect(page.getByRole("link", { name: "Inbox, 1 unread" })).toHaveCount(0);

  const owner = await newVisitor();
  await signIn(owner, person.olivia);
  await visit(owner, "/w/acme/settings/workspace");
  await owner.getByLabel("Workspace Name").fill("Acme Rockets");
  await owner.getByRole("button", { name: "Save Changes" }).click();

  await expect(page.getByRole("link", { name: "Inbox, 1 unread" })).toBeVisible();
  await expect(page.getByRole("main").getByRole("listitem").first()).toContainText("Acme Rockets");
});
