// For everyone: every page, light and dark, narrow and wide, as axe-core sees it; and by keyboard.

import { expectAccessible } from "../support/axe.ts";
import { expect, hydrated, person, signIn, test, visit } from "../support/test.ts";

test.skip(({ scripts }) => !scripts, "axe-core is itself a script");

const OUTSIDE = ["/login", "/signup", "/forgot-password", "/reset-password/none", "/confirm-email/none"];
const INSIDE = [
  "/w/acme",
  "/w/acme/inbox",
  "/w/acme/inbox?type=billing",
  "/w/acme/settings/account",
  "/w/acme/settings/notifications",
  "/w/acme/settings/workspace",
  "/w/acme/settings/members",
  "/w/acme/settings/members?status=expired",
  "/w/acme/settings/members?status=accepted",
  "/w/acme/settings/members?search=nobody",
  "/w/acme/settings/billing",
  "/w/acme/settings/billing?plan=light",
  "/w/acme/settings/billing?plan=max&cdr=1",
  "/w/acme/settings/billing?plan=nothing",
  "/w/acme/settings/billing/invoices/1",
  "/w/acme/settings/credits",
  "/w/acme/settings/credits?kind=purchase",
  "/w/acme/settings/credits?kind=refund",
  "/w/acme/settings/api-keys",
  "/w/acme/settings/api-keys?status=revoked",
  "/w/acme/settings/api-keys?search=nobody",
  "/w/acme/settings/api-keys?new=1",
  "/w/acme/settings/webhooks",
  "/new",
  "/outbox",
];

for (const colorScheme of ["light", "dark"] as const) {
  for (const width of [360, 1280]) {
    test(`axe-core finds nothing: ${colorScheme}, ${width} pixels`, async ({ page }) => {
      test.setTimeout(180_000);
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.setViewportSize({ width, height: 900 });
      const look = async (address: string) =>
        test.step(address, async () => {
          await visit(page, address);
          await expectAccessible(page);
          const sideways = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
          expect(sideways, "pixels to scroll sideways").toBeLessThanOrEqual(0);
        });
      for (const address of OUTSIDE) await look(address);
      await signIn(page, person.olivia);
      for (const address of INSIDE) await look(address);
    });
  }
}

for (const [colorScheme, width] of [["light", 1280], ["dark", 360]] as const) {
  test(`axe-core finds nothing in menus, dialogs and errors: ${colorScheme}, ${width} pixels`, async ({ page, browserConsole }) => {
    test.setTimeout(90_000);
    browserConsole.allowStatus(404, 422);
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.setViewportSize({ width, height: 900 });
    await signIn(page, person.olivia);
    for (const name of ["Switch Workspace", "Account menu"]) {
      if (width < 900 && name === "Switch Workspace") await page.getByRole("button", { name: "Menu", exact: true }).click();
      await page.getByRole("button", { name }).click();
      await expectAccessible(page);
      await page.keyboard.press("Escape");
      await page.keyboard.press("Escape");
    }
    await page.keyboard.press("Control+k");
    await expect(page.getByRole("combobox", { name: "Search pages and actions" })).toBeFocused();
    await expectAccessible(page);
    await page.keyboard.press("Escape");

    await visit(page, "/w/acme/settings/members");
    await page.getByRole("button", { name: "Send Invitation" }).click();
    await expect(page.getByLabel("Email Address")).toBeFocused();
    await expectAccessible(page);
    for (const name of ["Change Role", "Remove"]) {
      await page.getByRole("button", { name }).first().click();
      await expectAccessible(page);
      await page.keyboard.press("Escape");
    }
    await visit(page, "/w/acme/settings/members");
    const invitation = await page.locator("input[readonly]").first().getAttribute("value");
    for (const address of ["/w/acme/settings/nowhere", "/w/globex", "/invite/none", "/unsubscribe/none", invitation!]) {
      await visit(page, address);
      await expectAccessible(page);
    }
  });
}

for (const who of [person.mia, person.cleo]) {
  test(`axe-core finds nothing in what ${who.name} sees`, async ({ page }) => {
    test.setTimeout(90_000);
    await page.emulateMedia({ reducedMotion: "reduce" });
    await signIn(page, who);
    for (const address of ["/w/acme", "/w/acme/inbox", "/w/acme/settings/workspace", "/w/acme/settings/members"]) {
      await visit(page, address);
      await expectAccessible(page);
    }
  });
}

test("nothing is cut off or scrolls sideways at 320 pixels, as at 400 % zoom", async ({ page }) => {
  await page.setViewportSize({ width: 320, height: 640 });
  await signIn(page, person.olivia);
  for (const address of INSIDE) {
    await visit(page, address);
    const sideways = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect(sideways, `pixels to scroll sideways on ${address}`).toBeLessThanOrEqual(0);
  }
});

test("the palette finds pages and actions by keyboard", async ({ page }) => {
  await signIn(page, person.olivia);
  await page.keyboard.press("Control+k");
  await page.keyboard.type("memb");
  await expect(page.getByRole("option", { name: /Members/ })).toBeVisible();
  await page.keyboard.press("Enter");
  await page.waitForURL("**/w/acme/settings/members*");
  await expect(page).toHaveTitle(/^Members/);

  // What the address points to has the focus, wherever one came from.
  await page.keyboard.press("Control+k");
  await page.keyboard.type("invite");
  await page.keyboard.press("Enter");
  await expect(page.getByLabel("Email Address")).toBeFocused();

  await page.keyboard.press("Control+k");
  await page.keyboard.type("no such thing");
  await expect(page.getByText(/^No results for/)).toBeVisible();
  await expect(page.getByRole("combobox", { name: "Search pages and actions" })).not.toHaveAttribute("aria-activedescendant");
  await page.keyboard.press("Escape");

  await page.keyboard.press("Control+k");
  await page.keyboard.type("change password");
  await expect(page.getByRole("listbox").getByRole("option")).toHaveCount(1);
  await page.keyboard.press("Enter");
  await page.waitForURL("**/settings/account#change-password");
  await expect(page.getByLabel("New Password")).toBeFocused();

  await page.keyboard.press("Control+k");
  await page.keyboard.type("delete");
  await page.keyboard.press("Enter");
  await expect(page.getByLabel("Type the slug to confirm")).toBeFocused();

  await page.keyboard.press("Control+k");
  const download = page.waitForEvent("download");
  await page.keyboard.type("export");
  await page.keyboard.press("Enter");
  expect((await download).suggestedFilename()).toBe("members.csv");

  await page.keyboard.press("Control+k");
  await page.keyboard.type("sign out");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/login");
});

test("the palette offers no more than the role may do", async ({ page }) => {
  await signIn(page, person.cleo);
  await page.keyboard.press("Control+k");
  const options = page.getByRole("listbox").getByRole("option");
  await expect(options.filter({ hasText: "Leave workspace" })).toHaveCount(1);
  for (const label of ["Invite a new member", "Rename workspace", "Delete workspace", "Transfer ownership", "Export members"]) {
    await expect(options.filter({ hasText: label })).toHaveCount(0);
  }
});

test("the focus follows to the new page, and open menus close", async ({ page }) => {
  await signIn(page, person.olivia);
  await page.getByRole("button", { name: "Account menu" }).click();
  await page.getByRole("link", { name: "Account settings" }).click();
  await page.waitForURL("**/settings/account");
  await expect(page.getByRole("link", { name: "Account settings" })).toBeHidden();
  await expect(page.getByRole("main")).toBeFocused();
  await page.keyboard.press("Tab");
  await expect(page.getByLabel("Name", { exact: true })).toBeFocused();
});

test("a keyboard reaches everything: skip link first, focus visible", async ({ page }) => {
  await signIn(page, person.olivia);
  await visit(page, "/w/acme/settings/account");
  await page.keyboard.press("Tab");
  const skip = page.getByRole("link", { name: "Skip to content" });
  await expect(skip).toBeFocused();
  await expect(skip).toBeInViewport();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await expect(page.getByLabel("Name", { exact: true })).toBeFocused();
});

test("every page has its own title", async ({ page }) => {
  await signIn(page, person.olivia);
  const titles = new Set<string>();
  const addresses = ["/w/acme", "/w/acme/inbox", ...["account", "notifications", "workspace", "members", "api-keys"].map((name) => `/w/acme/settings/${name}`)];
  for (const address of addresses) {
    await visit(page, address);
    titles.add(await page.title());
  }
  expect(titles.size).toBe(addresses.length);
});

test("what is typed and not saved is not left without asking", async ({ page }) => {
  await signIn(page, person.olivia);
  await visit(page, "/w/acme/settings/account");
  await page.getByLabel("Name", { exact: true }).fill("Half a na");

  page.once("dialog", (dialog) => dialog.dismiss());
  await page.getByRole("link", { name: "Members", exact: true }).click();
  await expect(page.getByLabel("Name", { exact: true })).toHaveValue("Half a na");
  expect(new URL(page.url()).pathname).toBe("/w/acme/settings/account");

  page.once("dialog", (dialog) => dialog.accept());
  await page.getByRole("link", { name: "Members", exact: true }).click();
  await page.waitForURL("**/settings/members");
});

test("unsaved text is asked about whichever way one leaves, and only then", async ({ page, context }) => {
  await signIn(page, person.olivia);
  await visit(page, "/w/acme");
  await page.getByRole("link", { name: "Members", exact: true }).click();
  await page.waitForURL("**/settings/members");
  const field = page.getByLabel("Email Address");
  await field.fill("half@typed");
  const asked: string[] = [];
  page.on("dialog", (dialog) => {
    asked.push(dialog.type());
    return dialog.dismiss();
  });

  // Not for a filter of the same page, a place on it, another tab or a file.
  await page.getByRole("link", { name: "Expired", exact: true }).click();
  await page.waitForURL(/status=expired/);
  const tab = context.waitForEvent("page");
  await page.getByRole("link", { name: "Account", exact: true }).click({ modifiers: ["ControlOrMeta"] });
  await (await tab).close();
  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: "Export CSV" }).click();
  await download;
  expect(asked).toEqual([]);
  await expect(field).toHaveValue("half@typed");

  // The palette.
  await page.keyboard.press("Control+k");
  await page.keyboard.type("inbox");
  await page.keyboard.press("Enter");
  await expect.poll(() => asked.length).toBe(1);
  // Back, past the filter.
  await page.goBack();
  await page.waitForURL(/members$/);
  expect(asked.length).toBe(1);
  await page.goBack();
  await expect.poll(() => asked.length).toBe(2);
  await page.waitForURL("**/settings/members");
  // Signing out, before it is done.
  await page.getByRole("button", { name: "Account menu" }).click();
  await page.getByRole("button", { name: "Sign Out" }).click();
  await expect.poll(() => asked.length).toBe(3);
  await page.keyboard.press("Escape");
  expect(asked).toEqual(["confirm", "confirm", "confirm"]);
  await expect(field).toHaveValue("half@typed");
  // The page is not thought to be on its way out: it still follows.
  await field.fill("");
  await page.getByRole("link", { name: "Account", exact: true }).click();
  await page.waitForURL("**/settings/account");
});

test("what was saved can be left without a question", async ({ page }) => {
  await signIn(page, person.adam);
  await visit(page, "/w/acme/settings/account");
  await page.getByLabel("Name", { exact: true }).fill("Adam A. Archer");
  await page.getByRole("button", { name: "Save Changes" }).click();
  await expect(page.getByRole("status")).toHaveText("Changes saved");
  page.once("dialog", (dialog) => {
    throw new Error(`asked: ${dialog.message()}`);
  });
  await page.getByRole("link", { name: "Members", exact: true }).click();
  await page.waitForURL("**/settings/members");
});

test("on a narrow screen the navigation opens by its button", async ({ page }) => {
  await page.setViewportSize({ width: 360, height: 740 });
  await signIn(page, person.olivia);
  const members = page.getByRole("link", { name: "Members", exact: true });
  await expect(members).toBeHidden();
  await page.getByRole("button", { name: "Menu", exact: true }).click();
  await members.click();
  await page.waitForURL("**/settings/members");
  await expect(members).toBeHidden();
  await hydrated(page);
});
