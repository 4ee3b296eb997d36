// Every dialog: modal, with three ways out, and the focus back where it came from.

import { expectAccessible } from "../support/axe.ts";
import { expect, person, signIn, test, visit, type Page } from "../support/test.ts";

type Case = { page: string; button: string; dialog: RegExp; cancel?: string; role?: "switch" };

const SETTINGS = "/w/acme/settings";
const DIALOGS: Case[] = [
  { page: `${SETTINGS}/members`, button: "Change Role", dialog: /^Change .*'s Role$/ },
  { page: `${SETTINGS}/members`, button: "Remove", dialog: /^Remove .*\?$/ },
  { page: `${SETTINGS}/api-keys`, button: "Rotate", dialog: /^Rotate / },
  { page: `${SETTINGS}/api-keys`, button: "Revoke", dialog: /^Revoke .*\?$/ },
  { page: `${SETTINGS}/billing`, button: "Cancel Subscription", dialog: /^Cancel the subscription\?$/, cancel: "Keep Subscription" },
  { page: `${SETTINGS}/billing`, button: "CDR Mode", role: "switch", dialog: /CDR Mode/ },
];

const opener = (page: Page, { button, role }: Case) => page.getByRole("main").getByRole(role ?? "button", { name: button, exact: true }).first();

async function open(page: Page, its: Case) {
  const button = opener(page, its);
  await button.click();
  const dialog = page.getByRole("dialog", { name: its.dialog });
  await expect(dialog).toBeVisible();
  return { button, dialog };
}

for (const its of DIALOGS) {
  test(`${its.button} on ${its.page}: a modal dialog with three ways out`, async ({ page, scripts }) => {
    await signIn(page, person.olivia);
    await visit(page, its.page);
    for (const way of ["Escape", its.cancel ?? "Cancel", "Close"]) {
      const { button, dialog } = await open(page, its);
      if (way === "Escape") {
        await page.keyboard.press("Escape");
      } else {
        await dialog.getByRole("button", { name: way, exact: true }).click();
      }
      await expect(dialog).toBeHidden();
      if (scripts) await expect(button, `after ${way}`).toBeFocused();
    }
    await page.keyboard.press("Enter");
    await expect(page.getByRole("dialog", { name: its.dialog }), "by keyboard").toBeVisible();
  });

  test(`${its.button} on ${its.page}: the focus stays in the dialog`, async ({ page, scripts }) => {
    test.skip(!scripts, "looking at the page takes a script");
    await signIn(page, person.olivia);
    await visit(page, its.page);
    const { dialog } = await open(page, its);
    expect(await dialog.evaluate((dialog) => dialog instanceof HTMLDialogElement && dialog.matches(":modal"))).toBe(true);
    const where = () =>
      dialog.evaluate((dialog) => {
        const focused = document.activeElement;
        // Between its last control and its first the focus is on the browser's own.
        return !focused || focused === document.body || dialog.contains(focused);
      });
    expect(await dialog.evaluate((dialog) => dialog.contains(document.activeElement)), "the focus is inside").toBe(true);
    for (const key of [...Array<string>(8).fill("Tab"), ...Array<string>(8).fill("Shift+Tab")]) {
      await page.keyboard.press(key);
      expect(await where(), key).toBe(true);
    }
    await expectAccessible(page);
  });
}

for (const colorScheme of ["light", "dark"] as const) {
  test(`on a phone every dialog shows its way out and fits: ${colorScheme}`, async ({ page, scripts }, testInfo) => {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.setViewportSize({ width: 360, height: 640 });
    await signIn(page, person.olivia);
    for (const [index, its] of DIALOGS.entries()) {
      await visit(page, its.page);
      const { dialog } = await open(page, its);
      if (scripts) await page.screenshot({ path: testInfo.outputPath(`dialog-${index}.png`) });
      for (const name of ["Close", its.cancel ?? "Cancel"]) {
        const way = dialog.getByRole("button", { name, exact: true });
        await expect(way).toBeInViewport({ ratio: 1 });
        const box = (await way.boundingBox())!;
        expect(Math.min(box.width, box.height), name).toBeGreaterThanOrEqual(24);
      }
      const box = (await dialog.boundingBox())!;
      expect(box.x).toBeGreaterThanOrEqual(0);
      expect(box.x + box.width).toBeLessThanOrEqual(360);
      await dialog.getByRole("button", { name: "Close", exact: true }).click();
      await expect(dialog).toBeHidden();
    }
  });
}

test("the link of an invitation stands in a dialog too", async ({ page, scripts }) => {
  if (scripts) {
    await page.addInitScript(() => {
      Clipboard.prototype.writeText = () => Promise.reject(new DOMException("no", "NotAllowedError"));
    });
  }
  await signIn(page, person.olivia);
  await visit(page, `${SETTINGS}/members`);
  const button = page.getByRole("button", { name: "Copy Link" }).first();
  for (const way of ["Done", "Close"]) {
    await button.click();
    const dialog = page.getByRole("dialog", { name: "Invitation link" });
    await expect(dialog.getByRole("textbox", { name: "Invitation link" })).toBeVisible();
    await dialog.getByRole("button", { name: way }).click();
    await expect(dialog).toBeHidden();
    if (scripts) await expect(button).toBeFocused();
  }
});

test("what was typed and cancelled is not there the next time, nor is its error", async ({ page, scripts, browserConsole }) => {
  test.skip(!scripts, "without scripts the error is on a page of its own");
  browserConsole.allowStatus(422);
  await signIn(page, person.olivia);
  await visit(page, `${SETTINGS}/api-keys`);
  const its = DIALOGS.find(({ button }) => button === "Revoke")!;
  const { dialog } = await open(page, its);
  const field = dialog.getByLabel("Key name");
  await field.fill("something else");
  await dialog.getByRole("button", { name: "Revoke Key" }).click();
  await expect(field).toHaveAttribute("aria-invalid", "true");
  await expect(field).toHaveValue("something else");
  await dialog.getByRole("button", { name: "Cancel", exact: true }).click();
  await open(page, its);
  await expect(field).toHaveValue("");
  await expect(field).not.toHaveAttribute("aria-invalid", "true");
});

test("without scripts a refused dialog stands open with what is wrong, and can be closed", async ({ page, scripts }) => {
  test.skip(scripts, "with scripts it never closed");
  await signIn(page, person.olivia);
  await visit(page, `${SETTINGS}/api-keys`);
  const its = DIALOGS.find(({ button }) => button === "Revoke")!;
  const { dialog } = await open(page, its);
  await dialog.getByLabel("Key name").fill("something else");
  await dialog.getByRole("button", { name: "Revoke Key" }).click();
  await expect(dialog.getByLabel("Key name")).toHaveValue("something else");
  await expect(dialog.getByLabel("Key name")).toHaveAccessibleDescription(/This name doesn't match/);
  await dialog.getByRole("link", { name: "Cancel", exact: true }).click();
  await expect(dialog).toBeHidden();
  await expect(page).toHaveURL(/\/settings\/api-keys$/);
});

test("after a removal the focus stays on the page's part", async ({ page, scripts }) => {
  test.skip(!scripts, "without scripts the page is loaded");
  await signIn(page, person.olivia);
  await visit(page, `${SETTINGS}/members`);
  const row = page.getByRole("row").filter({ has: page.getByRole("rowheader", { name: "Cleo Chen" }) });
  await row.getByRole("button", { name: "Remove" }).click();
  await page.getByRole("button", { name: "Remove Member" }).click();
  await expect(row).toHaveCount(0);
  await expect(page.getByRole("region", { name: "Member List" })).toBeFocused();
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(row).toHaveCount(1);
});

test("the palette and the navigation of a phone have a visible way out", async ({ page, scripts }) => {
  await page.setViewportSize({ width: 360, height: 640 });
  await signIn(page, person.olivia);
  const menu = page.getByRole("button", { name: "Menu", exact: true });
  await menu.click();
  await page.getByRole("button", { name: "Close Menu" }).click();
  await expect(page.getByRole("link", { name: "Members", exact: true })).toBeHidden();
  if (!scripts) return;
  const search = page.getByRole("button", { name: "Search" });
  await search.click();
  const palette = page.getByRole("dialog", { name: "Command palette" });
  await palette.getByRole("button", { name: "Close" }).click();
  await expect(palette).toBeHidden();
  await expect(search).toBeFocused();
});
