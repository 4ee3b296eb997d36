// A page that is older than the server, as after an update.

import { expect, expectSaid, person, signIn, test, visit } from "../support/test.ts";

const PAGE = "/w/acme/settings/workspace";

test("an outdated page changes nothing, asks to reload, and keeps what was typed", async ({ page, scripts, browserConsole }) => {
  test.skip(!scripts, "without scripts a form has no build of its own");
  browserConsole.allowMessage(/412|Failed to load resource/);
  await signIn(page, person.adam);
  await visit(page, PAGE);
  await page.route("**/fn/rename_workspace", (route) =>
    route.continue({ headers: { ...route.request().headers(), "x-wheelhouse-build": "00000000" } }),
  );
  const name = page.getByLabel("Workspace Name");
  const before = await name.inputValue();
  await name.fill("Acme after the update");
  await page.getByRole("button", { name: "Save Changes" }).click();
  await expect(page.getByRole("alert")).toContainText("A new version is available. Reload.");
  await expect(name).toHaveValue("Acme after the update");
  await expect(page.getByRole("button", { name: "Switch Workspace" })).toContainText(before);

  await page.unroute("**/fn/rename_workspace");
  await page.getByRole("button", { name: "Reload" }).click();
  await expect(page.getByRole("alert")).toHaveCount(0);
  await page.locator("html[data-hydrated]").waitFor();
  await expect(name).toHaveValue("Acme after the update");
  await page.getByRole("button", { name: "Save Changes" }).click();
  await expectSaid(page, "Changes saved");
  await expect(page.getByRole("button", { name: "Switch Workspace" })).toContainText("Acme after the update");
});

test("an outdated page shows why another page does not open", async ({ page, scripts, browserConsole }) => {
  test.skip(!scripts, "without scripts every page is loaded from the server");
  browserConsole.allowMessage(/412|Failed to load resource/);
  await signIn(page, person.adam);
  await visit(page, PAGE);
  await page.route("**/fn/load_members", (route) =>
    route.continue({ headers: { ...route.request().headers(), "x-wheelhouse-build": "00000000" } }),
  );
  await page.getByRole("navigation").getByRole("link", { name: "Members" }).click();
  await expect(page.getByRole("heading", { name: "A new version is available" })).toBeVisible();
  await page.unroute("**/fn/load_members");
  await page.getByRole("link", { name: "Reload" }).click();
  await expect(page.getByRole("heading", { name: "Members", exact: true }).first()).toBeVisible();
});
