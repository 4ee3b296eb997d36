// Notifications: six types, two channels, each cell a switch that saves at once.

import { expect, expectSaid, followMail, person, press, signIn, test, visit, type Page } from "../support/test.ts";

const TYPES = ["System", "Automations", "Contacts", "Workspace", "Security", "Billing"];
const CHANNELS = ["In-app", "Email"];
const PAGE = "/w/acme/settings/notifications";

const cell = (page: Page, name: string) => page.getByRole("switch", { name, exact: true });
const on = "true";
const off = "false";

async function open(page: Page, who = person.olivia): Promise<void> {
  await signIn(page, who);
  await visit(page, PAGE);
}

/** Flips a switch and waits until the server has it. */
async function flip(page: Page, name: string): Promise<void> {
  const saved = page.waitForResponse((answer) => answer.url().endsWith("/fn/set_notification"));
  await cell(page, name).click();
  await saved;
  await page.waitForLoadState();
}

test("the matrix holds the types and channels, and starts as it should", async ({ page }) => {
  await open(page, person.cleo);
  const table = page.getByRole("table");
  for (const type of TYPES) await expect(table.getByRole("rowheader", { name: type, exact: true })).toBeVisible();
  for (const channel of CHANNELS) await expect(table.getByRole("columnheader", { name: channel, exact: true })).toBeVisible();
  for (const type of TYPES) {
    const mailed = type === "Security" || type === "Billing";
    await expect(cell(page, `${type}: In-app`)).toHaveAttribute("aria-checked", on);
    await expect(cell(page, `${type}: Email`)).toHaveAttribute("aria-checked", mailed ? on : off);
  }
  await expect(page.getByText("Security events (login, password change)")).toBeVisible();
  await expect(page.getByText(/sent to you in the last 30 days/).first()).toBeVisible();
});

test("a switch is saved at once", async ({ page }) => {
  await open(page);
  await flip(page, "Contacts: Email");
  await expect(cell(page, "Contacts: Email")).toHaveAttribute("aria-checked", on);
  await visit(page, PAGE);
  await expect(cell(page, "Contacts: Email")).toHaveAttribute("aria-checked", on);
  await flip(page, "Contacts: Email");
  await visit(page, PAGE);
  await expect(cell(page, "Contacts: Email")).toHaveAttribute("aria-checked", off);
});

test("rows and columns go on and off at once", async ({ page }) => {
  await open(page, person.mia);
  await press(page, page.getByRole("button", { name: "Email: all on" }));
  await expectSaid(page, "Email: all on");
  for (const type of TYPES) await expect(cell(page, `${type}: Email`)).toHaveAttribute("aria-checked", on);
  await press(page, page.getByRole("button", { name: "Billing: all off" }));
  await expectSaid(page, "Billing: all off");
  for (const channel of CHANNELS) await expect(cell(page, `Billing: ${channel}`)).toHaveAttribute("aria-checked", off);
  await expect(cell(page, "Contacts: In-app")).toHaveAttribute("aria-checked", on);
  await visit(page, PAGE);
  for (const channel of CHANNELS) await expect(cell(page, `Billing: ${channel}`)).toHaveAttribute("aria-checked", off);
});

test("frequent events are told of only on request", async ({ page }) => {
  await open(page);
  const frequent = page.getByRole("region", { name: "Frequent events" }).getByRole("switch").first();
  await expect(frequent).toHaveAttribute("aria-checked", off);
  await press(page, frequent);
  await expect(frequent).toHaveAttribute("aria-checked", on);
});

test("a mail can be turned off from the mail", async ({ page, newVisitor }) => {
  await open(page, person.adam);
  await flip(page, "Workspace: Email");
  const owner = await newVisitor();
  await signIn(owner, person.olivia);
  await visit(owner, "/w/acme/settings/workspace");
  await owner.getByLabel("Workspace Name").fill("Acme Mail");
  await press(owner, owner.getByRole("button", { name: "Save Changes" }));

  await followMail(owner, person.adam.email, /Acme Mail/);
  await visit(page, PAGE);
  await expect(cell(page, "Workspace: Email")).toHaveAttribute("aria-checked", on);
});

test.describe("with scripts", () => {
  test.skip(({ scripts }) => !scripts, "live behaviour takes a script");

  test("flips before the server has answered, and keeps the order of fast clicks", async ({ page }) => {
    await open(page);
    let posts = 0;
    await page.route("**/fn/set_notification", async (route) => {
      posts++;
      await new Promise((resolve) => setTimeout(resolve, 1500));
      await route.continue();
    });
    const system = cell(page, "System: Email");
    await system.click();
    await expect(system).toHaveAttribute("aria-checked", on, { timeout: 300 });
    for (let i = 0; i < 6; i++) await system.click();
    await expect(system).toHaveAttribute("aria-checked", on);
    await system.click();
    await expect(system).toHaveAttribute("aria-checked", off);
    await page.waitForTimeout(3500);
    await expect(system).toHaveAttribute("aria-checked", off);
    // Eight clicks, and the server was asked only for what still mattered.
    expect(posts).toBeLessThanOrEqual(3);
    await page.unrouteAll({ behavior: "wait" });
    await visit(page, PAGE);
    await expect(system).toHaveAttribute("aria-checked", off);
  });

  test("a refusal puts the switch back and says why", async ({ page, browserConsole }) => {
    browserConsole.allowMessage(/ERR_FAILED|Failed to load resource/);
    await open(page);
    await page.route("**/fn/set_notification", (route) => route.abort());
    const contacts = cell(page, "Contacts: In-app");
    await contacts.click();
    await expect(page.getByRole("alert")).toContainText("The server cannot be reached");
    await expect(contacts).toHaveAttribute("aria-checked", on);
    await page.unrouteAll({ behavior: "wait" });
    await contacts.click();
    await expect(contacts).toHaveAttribute("aria-checked", off);
    await expect(page.getByRole("alert")).toHaveCount(0);
  });

  test("other open pages of the same person follow within a second", async ({ page, newVisitor, context }) => {
    await open(page, person.adam);
    // A second tab of this browser, and another browser: one hears by broadcast, the other from the server.
    const tab = await context.newPage();
    await visit(tab, PAGE);
    const elsewhere = await newVisitor();
    await open(elsewhere, person.adam);
    for (const state of [on, off]) {
      await cell(page, "System: Email").click();
      for (const other of [tab, elsewhere]) {
        await expect(cell(other, "System: Email")).toHaveAttribute("aria-checked", state, { timeout: 1000 });
      }
    }
  });

  test("the keyboard is enough", async ({ page }) => {
    await open(page, person.cleo);
    const first = cell(page, "Automations: In-app");
    await first.focus();
    await page.keyboard.press("Space");
    await expect(first).toHaveAttribute("aria-checked", off);
    await page.keyboard.press("Enter");
    await expect(first).toHaveAttribute("aria-checked", on);
    await page.keyboard.press("Tab");
    await expect(cell(page, "Automations: Email")).toBeFocused();
  });
});
