// Workspace: its name, its address, who owns it, and its end.

import { card, expect, expectSaid, person, press, signIn, test, visit } from "../support/test.ts";

const PAGE = "/w/acme/settings/workspace";

test("the name is saved, and taken back with one click", async ({ page }) => {
  await signIn(page, person.adam);
  await visit(page, PAGE);
  await page.getByLabel("Workspace Name").fill("Acme International");
  await press(page, page.getByRole("button", { name: "Save Changes" }));
  await expectSaid(page, "Changes saved");
  await expect(page.getByRole("button", { name: "Switch Workspace" })).toContainText("Acme International");
  await press(page, page.getByRole("button", { name: "Undo" }));
  await expectSaid(page, "Name changed back to Acme");
  await expect(page.getByLabel("Workspace Name")).toHaveValue("Acme");
});

test("the address changes, the old one leads on, and one click takes it back", async ({ page, newVisitor }) => {
  await signIn(page, person.olivia);
  await visit(page, PAGE);
  await expect(page.getByText("Your workspace is accessible at /w/acme", { exact: true })).toBeVisible();
  await page.getByLabel("Slug (Workspace URL)").fill("acme-rockets");
  await press(page, page.getByRole("button", { name: "Update URL" }));
  await page.waitForURL("**/w/acme-rockets/settings/workspace");
  await expect(page.getByText("Your workspace is accessible at /w/acme-rockets", { exact: true })).toBeVisible();
  await expect(page.getByText(/\/w\/acme redirects here until/)).toBeVisible();

  const member = await newVisitor();
  await signIn(member, person.mia);
  await member.goto("/w/acme/settings/members");
  await expect(member).toHaveURL(/\/w\/acme-rockets\/settings\/members$/);

  await press(page, page.getByRole("button", { name: "Undo" }));
  await page.waitForURL("**/w/acme/settings/workspace");
  await expectSaid(page, "URL changed back to /w/acme");
});

test("an address that was given up is taken back", async ({ page }) => {
  await signIn(page, person.olivia);
  await visit(page, PAGE);
  await page.getByLabel("Slug (Workspace URL)").fill("acme-orbit");
  await press(page, page.getByRole("button", { name: "Update URL" }));
  await page.waitForURL("**/w/acme-orbit/settings/workspace");
  await press(page, page.getByRole("listitem").filter({ hasText: "/w/acme redirects here" }).getByRole("button", { name: "Revert" }));
  await page.waitForURL("**/w/acme/settings/workspace");
  await expect(page.getByLabel("Slug (Workspace URL)")).toHaveValue("acme");
});

test("what Undo did is shown without a live connection", async ({ page, scripts, browserConsole }) => {
  test.skip(!scripts, "without scripts the page is loaded anew");
  browserConsole.allowMessage(/ERR_FAILED|Failed to load resource/);
  await page.route("**/live", (route) => route.abort());
  await signIn(page, person.adam);
  await visit(page, PAGE);
  const name = page.getByLabel("Workspace Name");
  const before = await name.inputValue();
  await name.fill("Acme for an hour");
  await page.getByRole("button", { name: "Save Changes" }).click();
  await expect(page.getByRole("button", { name: "Switch Workspace" })).toContainText("Acme for an hour");
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(name).toHaveValue(before);
  await expect(page.getByRole("button", { name: "Switch Workspace" })).not.toContainText("for an hour");
});

test("a bad address is refused at its field", async ({ page, browserConsole }) => {
  browserConsole.allowStatus(422);
  await signIn(page, person.olivia);
  await visit(page, PAGE);
  const slug = page.getByLabel("Slug (Workspace URL)");
  for (const [typed, why] of [
    ["Acme Rockets", /lowercase letters/],
    ["login", /reserved/],
    ["globex", /taken. Try globex-2/],
    ["", /Enter a workspace URL/],
  ] as const) {
    await slug.fill(typed);
    await press(page, page.getByRole("button", { name: "Update URL" }));
    await expect(slug).toHaveAccessibleDescription(why);
    await expect(slug).toHaveValue(typed);
  }
});

test("the address is checked as one types, with a free one offered", async ({ page, scripts }) => {
  test.skip(!scripts, "as one types takes a script");
  await signIn(page, person.olivia);
  await visit(page, PAGE);
  const slug = page.getByLabel("Slug (Workspace URL)");
  await slug.fill("globex");
  await expect(page.getByText(/That URL is taken. Try globex-/)).toBeVisible();
  await expect(slug).toHaveAccessibleDescription(/That URL is taken/);
  await page.getByRole("button", { name: /^globex-/ }).click();
  await expect(slug).toHaveValue(/^globex-\d/);
  await expect(slug).toBeFocused();
  await expect(page.getByText("Available", { exact: true })).toBeVisible();
  await slug.fill("acme-moon");
  await expect(page.getByText("Available", { exact: true })).toBeVisible();
});

test("a workspace is created, switched to, and deleted by its typed name", async ({ page, browserConsole }) => {
  browserConsole.allowStatus(404, 422);
  await signIn(page, person.olivia);
  await page.getByRole("button", { name: "Switch Workspace" }).click();
  await page.getByRole("link", { name: "Create workspace" }).click();
  await page.waitForURL("**/new");
  await visit(page, "/new");
  await page.getByLabel("Workspace Name").fill("Moon Base");
  await press(page, page.getByRole("button", { name: "Create Workspace" }));
  await page.waitForURL("**/w/moon-base");

  await visit(page, "/w/moon-base");
  await page.getByRole("button", { name: "Switch Workspace" }).click();
  await page.getByRole("link", { name: /Acme/ }).click();
  await page.waitForURL("**/w/acme");

  await visit(page, "/w/moon-base/settings/workspace");
  const danger = card(page, "Danger Zone");
  await danger.getByLabel("Type the slug to confirm").fill("moon");
  await press(page, danger.getByRole("button", { name: "Delete Workspace" }));
  await expect(danger.getByLabel("Type the slug to confirm")).toHaveAccessibleDescription(/Type moon-base to confirm/);
  await danger.getByLabel("Type the slug to confirm").fill("moon-base");
  await press(page, danger.getByRole("button", { name: "Delete Workspace" }));
  await page.waitForURL("**/w/acme");
  const gone = await page.goto("/w/moon-base");
  expect(gone?.status()).toBe(404);
});

test("who may not edit sees what there is to see, and can leave", async ({ page, browserConsole }) => {
  browserConsole.allowStatus(404, 422);
  await signIn(page, person.cleo);
  await visit(page, PAGE);
  await expect(page.getByText("Your workspace is accessible at /w/acme", { exact: true })).toBeVisible();
  await expect(page.getByRole("button", { name: "Save Changes" })).toHaveCount(0);
  const danger = card(page, "Danger Zone");
  await expect(danger.getByText("Transfer Ownership")).toHaveCount(0);
  await expect(danger.getByRole("button", { name: "Delete Workspace" })).toHaveCount(0);
  // Nobody leaves by a slip: the way back is not their own.
  await danger.getByText("Leave Workspace").first().click();
  const slug = danger.getByLabel("Type the slug to leave");
  await press(page, danger.getByRole("button", { name: "Leave Workspace" }));
  await expect(slug).toHaveAccessibleDescription(/Type acme to confirm/);
  await slug.fill("acme");
  await press(page, danger.getByRole("button", { name: "Leave Workspace" }));
  await page.waitForURL((url) => !url.pathname.startsWith("/w/acme"));
  await expectSaid(page, "You left Acme");
});

test("the ownership is handed over", async ({ page, newVisitor, browserConsole }) => {
  browserConsole.allowStatus(422);
  await signIn(page, person.olivia);
  await visit(page, PAGE);
  await expect(page.getByText("You're the only owner")).toBeVisible();
  const danger = card(page, "Danger Zone");
  await danger.getByText("Transfer Ownership", { exact: true }).first().click();
  const heirs = danger.getByLabel("New owner");
  await expect(heirs).toHaveValue("");
  await danger.getByLabel("Type the slug to transfer").fill("acme");
  await press(page, danger.getByRole("button", { name: "Transfer Ownership" }));
  await expect(heirs).toHaveAccessibleDescription("Choose a member");
  await heirs.selectOption({ label: person.adam.name });
  await danger.getByLabel("Type the slug to transfer").fill("acme");
  await press(page, danger.getByRole("button", { name: "Transfer Ownership" }));
  await expectSaid(page, /Adam Archer/);
  await expect(page.getByRole("button", { name: "Delete Workspace" })).toHaveCount(0);

  const heir = await newVisitor();
  await signIn(heir, person.adam);
  await visit(heir, PAGE);
  await expect(heir.getByRole("button", { name: "Delete Workspace" })).toBeVisible();
});
