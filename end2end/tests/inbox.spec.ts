// The inbox and the bell.

import { expect, expectSaid, person, press, signIn, test, visit } from "../support/test.ts";

test("notifications are read, filtered, and lead to the cell they came by", async ({ page, scripts }) => {
  await signIn(page, person.olivia);
  await expect(page.getByRole("link", { name: /^Inbox, \d+ unread$/ })).toBeVisible();
  await visit(page, "/w/acme/inbox");
  const items = page.getByRole("main").getByRole("listitem");
  const before = await page.getByRole("button", { name: "Mark as Read" }).count();
  expect(before).toBeGreaterThan(3);

  await press(page, page.getByRole("button", { name: "Mark as Read" }).first());
  await expect(page.getByRole("button", { name: "Mark as Read" })).toHaveCount(before - 1);
  await expect(page.getByRole("button", { name: "Mark as Unread" })).toHaveCount(1);

  await page.getByRole("link", { name: "Automations", exact: true }).click();
  await page.waitForURL(/\/inbox\?type=automations$/);
  await expect(items.first()).toContainText("Automations");
  await expect(items.filter({ hasNotText: "Automations" })).toHaveCount(0);
  await page.goBack();
  await page.waitForURL((url) => url.search === "" || url.search === "?");
  await expect(items.filter({ hasNotText: "Automations" }).first()).toBeVisible();

  await items.filter({ hasText: "Contacts" }).getByRole("link", { name: "Notification settings" }).first().click();
  await page.waitForURL("**/settings/notifications#contacts-in_app");
  const cell = page.getByRole("switch", { name: "Contacts: In-app" });
  await expect(cell).toBeInViewport();
  if (scripts) await expect(cell).toBeFocused();
  await expect(page.getByRole("row").filter({ has: cell })).not.toHaveCSS("background-color", "rgba(0, 0, 0, 0)");
});

test("all are read at once", async ({ page }) => {
  await signIn(page, person.adam);
  await visit(page, "/w/acme/inbox");
  await press(page, page.getByRole("button", { name: "Mark All as Read" }));
  await expectSaid(page, /marked as read|All read|read/i);
  await expect(page.getByRole("button", { name: "Mark as Read" })).toHaveCount(0);
  await expect(page.getByRole("link", { name: "Inbox", exact: true }).first()).toBeVisible();
});

test("what somebody else does arrives by itself", async ({ page, newVisitor, scripts }) => {
  test.skip(!scripts, "live behaviour takes a script");
  await signIn(page, person.adam);
  await visit(page, "/w/acme/inbox");
  await press(page, page.getByRole("button", { name: "Mark All as Read" }));
  await expect(page.getByRole("link", { name: "Inbox, 1 unread" })).toHaveCount(0);

  const owner = await newVisitor();
  await signIn(owner, person.olivia);
  await visit(owner, "/w/acme/settings/workspace");
  await owner.getByLabel("Workspace Name").fill("Acme Rockets");
  await owner.getByRole("button", { name: "Save Changes" }).click();

  await expect(page.getByRole("link", { name: "Inbox, 1 unread" })).toBeVisible();
  await expect(page.getByRole("main").getByRole("listitem").first()).toContainText("Acme Rockets");
});

test("all that a filter shows are read at once, no others, and Undo takes it back", async ({ page }) => {
  await signIn(page, person.greta);
  await visit(page, "/w/globex/inbox");
  const unread = page.getByRole("button", { name: "Mark as Read" });
  const all = await unread.count();
  // The first category that is not the only one.
  const filters = page.getByRole("navigation", { name: "Notifications by type" }).getByRole("link");
  const labels = (await filters.allTextContents()).filter((label) => label !== "All");
  let filter = "";
  let some = 0;
  for (const label of labels) {
    await press(page, filters.filter({ hasText: label }));
    await expect(filters.filter({ hasText: label })).toHaveAttribute("aria-current", "page");
    some = await unread.count();
    if (some > 0 && some < all) {
      filter = label;
      break;
    }
  }
  expect(filter, "a category that is some of what is unread").not.toBe("");

  await press(page, page.getByRole("button", { name: "Mark All as Read" }));
  await expectSaid(page, new RegExp(`^${some} ${filter} notifications? marked as read$`));
  await expect(unread).toHaveCount(0);
  await visit(page, "/w/globex/inbox");
  await expect(unread).toHaveCount(all - some);

  await press(page, page.getByRole("button", { name: "Mark All as Read" }));
  await expectSaid(page, new RegExp(`^${all - some} notifications? marked as read$`));
  await expect(unread).toHaveCount(0);
  await press(page, page.getByRole("button", { name: "Undo" }));
  await expectSaid(page, new RegExp(`^${all - some} notifications? marked as unread$`));
  await expect(unread).toHaveCount(all - some);
});

test("what has just happened happened just now, before the page's clock moves on", async ({ page, scripts }) => {
  test.skip(!scripts, "without scripts the page's clock is the server's");
  await signIn(page, person.olivia);
  // The page is loaded first: what happens after that is newer than its clock.
  await visit(page, "/w/acme/settings/members");
  await page.getByLabel("Email Address").fill("just@now.example");
  await page.getByRole("button", { name: "Send Invitation" }).click();
  await expect(page.getByRole("row").filter({ has: page.getByRole("rowheader", { name: "just@now.example" }) })).toBeVisible();
  await page.getByRole("link", { name: "API Keys", exact: true }).click();
  await page.getByRole("button", { name: "Create API Key" }).click();
  await page.getByLabel("Name").fill("Newest");
  await page.getByRole("checkbox", { name: "Read Contacts" }).check();
  await page.getByRole("button", { name: "Create Key" }).click();
  const key = page.getByRole("row").filter({ has: page.getByRole("rowheader", { name: "Newest" }) });
  await expect(key.locator("time").first()).toHaveText("just now");
  const times = page.getByRole("main").locator("time");
  for (const link of ["API Keys", "Overview", "Account", "Inbox"]) {
    await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: link }).click();
    await expect(page.getByRole("main").getByRole("heading", { level: 1 })).toBeVisible();
    await expect(times.first()).toBeVisible();
    expect((await times.allTextContents()).filter((text) => text === "in a moment"), link).toEqual([]);
  }
});
