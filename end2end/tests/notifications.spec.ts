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
  await expect(page.getByText(/\d+ in the last 30 days/).first()).toBeVisible();
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
  await expectSaid(page, "Email turned on for all types");
  for (const type of TYPES) await expect(cell(page, `${type}: Email`)).toHaveAttribute("aria-checked", on);
  await press(page, page.getByRole("button", { name: "Billing: all off" }));
  await expectSaid(page, "Billing notifications turned off");
  for (const channel of CHANNELS) await expect(cell(page, `Billing: ${channel}`)).toHaveAttribute("aria-checked", off);
  await expect(cell(page, "Contacts: In-app")).toHaveAttribute("aria-checked", on);
  await visit(page, PAGE);
  for (const channel of CHANNELS) await expect(cell(page, `Billing: ${channel}`)).toHaveAttribute("aria-checked", off);
});

test("frequent events are told of only on request", async ({ page }) => {
  await open(page);
  const frequent = page.getByRole("region", { name: "High-Volume Events" }).getByRole("switch").first();
  await expect(frequent).toHaveAttribute("aria-checked", off);
  await press(page, frequent);
  await expect(frequent).toHaveAttribute("aria-checked", on);
});

test("a mail can be turned off from the mail", async ({ page, newVisitor }) => {
  await open(page, person.adam);
  await flip(page, "Workspace: Email");
  await visit(page, PAGE);
  await expect(cell(page, "Workspace: Email")).toHaveAttribute("aria-checked", on);
  const owner = await newVisitor();
  await signIn(owner, person.olivia);
  await visit(owner, "/w/acme/settings/workspace");
  await owner.getByLabel("Workspace Name").fill("Acme Mail");
  await press(owner, owner.getByRole("button", { name: "Save Changes" }));
  await expectSaid(owner, "Changes saved");

  // Whoever reads the mail need not be signed in.
  const reader = await newVisitor();
  await followMail(reader, person.adam.email, /Acme Mail/, "Unsubscribe");
  await expect(reader.getByText("Stop sending you Workspace emails?")).toBeVisible();
  await press(reader, reader.getByRole("button", { name: "Unsubscribe" }));
  await expectSaid(reader, "You're unsubscribed from Workspace emails");
  await visit(page, PAGE);
  await expect(cell(page, "Workspace: Email")).toHaveAttribute("aria-checked", off);
  await expect(cell(page, "Workspace: In-app")).toHaveAttribute("aria-checked", on);
});

test("without a script a switch says what became of it", async ({ page, scripts }) => {
  test.skip(scripts, "with scripts it is seen at once");
  await open(page, person.cleo);
  await press(page, cell(page, "Billing: Email"));
  await expectSaid(page, "Billing emails turned off");
  await press(page, cell(page, "Billing: Email"));
  await expectSaid(page, "Billing emails turned on");
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

  test("stands as it was set while the page is still being asked for", async ({ page }) => {
    await open(page, person.mia);
    const contacts = cell(page, "Contacts: Email");
    const before = (await contacts.getAttribute("aria-checked"))!;
    const after = before === on ? off : on;
    await page.route("**/fn/load_matrix", async (route) => {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      await route.continue();
    });
    const saved = page.waitForResponse("**/fn/set_notification");
    await contacts.click();
    await saved;
    // What was loaded before the save must not come back in the gap, nor after it.
    for (let i = 0; i < 10; i++) {
      await expect(contacts).toHaveAttribute("aria-checked", after, { timeout: 50 });
      await page.waitForTimeout(150);
    }
    // A click in the gap flips what is seen.
    const savedAgain = page.waitForResponse("**/fn/set_notification");
    await contacts.click();
    await expect(contacts).toHaveAttribute("aria-checked", before, { timeout: 300 });
    await savedAgain;
    await page.waitForTimeout(1500);
    await expect(contacts).toHaveAttribute("aria-checked", before);
    await page.unrouteAll({ behavior: "wait" });
    await visit(page, PAGE);
    await expect(contacts).toHaveAttribute("aria-checked", before);
  });

  test("needs no live connection", async ({ page, browserConsole }) => {
    browserConsole.allowMessage(/ERR_FAILED|Failed to load resource/);
    await page.route("**/live", (route) => route.abort());
    await open(page, person.mia);
    const system = cell(page, "System: Email");
    const before = (await system.getAttribute("aria-checked"))!;
    const after = before === on ? off : on;
    const asked = page.waitForResponse("**/fn/load_matrix");
    await system.click();
    await asked;
    await page.waitForTimeout(300);
    await expect(system).toHaveAttribute("aria-checked", after);
    await visit(page, PAGE);
    await expect(system).toHaveAttribute("aria-checked", after);
  });

  test("a refusal puts the switch back and says why", async ({ page, browserConsole }) => {
    browserConsole.allowMessage(/ERR_FAILED|Failed to load resource/);
    await open(page);
    await page.route("**/fn/set_notification", (route) => route.abort());
    const contacts = cell(page, "Contacts: In-app");
    await contacts.click();
    await expect(page.getByRole("alert")).toContainText("Can't reach Wheelhouse");
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

  test("all tabs of a browser share one connection, and the next takes over", async ({ page, newVisitor, context }) => {
    let connections = 0;
    context.on("request", (request) => {
      if (new URL(request.url()).pathname === "/live") connections++;
    });
    await open(page, person.adam);
    const second = await context.newPage();
    const third = await context.newPage();
    await visit(second, PAGE);
    await visit(third, PAGE);
    await page.waitForTimeout(1000);
    // One for the overview that the sign-in led to, one for the page after it: the later tabs add none.
    expect(connections).toBeLessThanOrEqual(2);

    const before = connections;
    await page.close();
    const elsewhere = await newVisitor();
    await open(elsewhere, person.adam);
    await expect.poll(() => connections).toBe(before + 1);
    const state = (await cell(elsewhere, "System: Email").getAttribute("aria-checked")) === on ? off : on;
    await flip(elsewhere, "System: Email");
    for (const tab of [second, third]) {
      await expect(cell(tab, "System: Email")).toHaveAttribute("aria-checked", state, { timeout: 3000 });
    }
  });

  test("without locks a lease says which tab listens", async ({ page, context, newVisitor }) => {
    await context.addInitScript(() => Object.defineProperty(Navigator.prototype, "locks", { value: undefined }));
    let connections = 0;
    context.on("request", (request) => {
      if (new URL(request.url()).pathname === "/live") connections++;
    });
    await open(page, person.adam);
    await expect.poll(() => connections, { timeout: 8000 }).toBeGreaterThan(0);
    await page.waitForTimeout(1000);
    const before = connections;
    const second = await context.newPage();
    await visit(second, PAGE);
    await second.waitForTimeout(3000);
    expect(connections).toBe(before);

    await page.close();
    await expect.poll(() => connections, { timeout: 10_000 }).toBe(before + 1);
    const elsewhere = await newVisitor();
    await open(elsewhere, person.adam);
    const state = (await cell(elsewhere, "System: Email").getAttribute("aria-checked")) === on ? off : on;
    await flip(elsewhere, "System: Email");
    await expect(cell(second, "System: Email")).toHaveAttribute("aria-checked", state, { timeout: 3000 });
  });

  test("a connection that was refused is tried again, and nothing is missed", async ({ page, newVisitor, browserConsole }) => {
    browserConsole.allowStatus(503);
    let refused = 0;
    await page.route("**/live", (route) => {
      refused++;
      return route.fulfill({ status: 503 });
    });
    await open(page, person.adam);
    await expect.poll(() => refused).toBeGreaterThan(0);
    const elsewhere = await newVisitor();
    await open(elsewhere, person.adam);
    const state = (await cell(elsewhere, "Automations: Email").getAttribute("aria-checked")) === on ? off : on;
    await flip(elsewhere, "Automations: Email");
    await page.unrouteAll({ behavior: "wait" });
    await expect(cell(page, "Automations: Email")).toHaveAttribute("aria-checked", state, { timeout: 12_000 });
  });

  test("nobody listens who is not signed in", async ({ page }) => {
    let connections = 0;
    page.on("request", (request) => {
      if (new URL(request.url()).pathname === "/live") connections++;
    });
    await visit(page, "/login");
    await page.waitForTimeout(500);
    expect(connections).toBe(0);
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
