// Nothing that was typed or chosen changes by itself: not after an error, not where a part was refused, not when the page
// follows what somebody else does.

import type { Locator } from "@playwright/test";
import { Server } from "../support/server.ts";
import { card, expect, expectSaid, hydrated, person, press, signIn, test, visit, type Page } from "../support/test.ts";

const SETTINGS = "/w/acme/settings";

test.use({ environment: { WHEELHOUSE_CATALOG: Server.roomyCatalog() } });

const invitation = (page: Page, email: string) => card(page, "Pending Invitations").getByRole("row").filter({ has: page.getByRole("rowheader", { name: email }) });
const member = (page: Page, name: string) => card(page, "Member List").getByRole("row").filter({ has: page.getByRole("rowheader", { name }) });
const role = (page: Page) => page.getByLabel("Role", { exact: true });

test("the role stays chosen when some of the invitations are refused, and when all are sent", async ({ page }) => {
  await signIn(page, person.adam);
  await visit(page, `${SETTINGS}/members`);
  await page.getByLabel("Email Address").fill("ida@acme.example, nonsense, mia@acme.example");
  await role(page).selectOption({ label: "Client" });
  await press(page, page.getByRole("button", { name: "Send Invitation" }));
  await expect(page.getByLabel("Email Address")).toHaveValue("nonsense, mia@acme.example");
  await expect(role(page)).toHaveValue("client");
  await page.getByLabel("Email Address").fill("jan@acme.example");
  await press(page, page.getByRole("button", { name: "Send Invitation" }));
  await expect(invitation(page, "jan@acme.example")).toContainText("Client");
  await expect(invitation(page, "ida@acme.example")).toContainText("Client");
  await expect(page.getByLabel("Email Address")).toHaveValue("");
  await expect(role(page)).toHaveValue("client");
});

test("all choices of a new key stay after an error", async ({ page, browserConsole }) => {
  browserConsole.allowStatus(422);
  await signIn(page, person.olivia);
  await visit(page, `${SETTINGS}/api-keys?new=1`);
  await page.getByRole("radio", { name: "Test" }).check();
  await page.getByRole("checkbox", { name: "Read Contacts" }).check();
  await page.getByRole("checkbox", { name: "Write Contacts" }).check();
  await page.getByLabel("Allowed IP addresses").fill("10.0.0.0/8\n192.168.1.1");
  await page.getByLabel("Expires", { exact: true }).selectOption({ index: 2 });
  const expires = await page.getByLabel("Expires", { exact: true }).inputValue();
  await press(page, page.getByRole("button", { name: "Create Key" }));
  await expect(page.getByLabel("Name")).toHaveAttribute("aria-invalid", "true");
  await expect(page.getByRole("radio", { name: "Test" })).toBeChecked();
  await expect(page.getByRole("checkbox", { name: "Read Contacts" })).toBeChecked();
  await expect(page.getByRole("checkbox", { name: "Write Contacts" })).toBeChecked();
  await expect(page.getByRole("checkbox", { name: "Read Tags" })).not.toBeChecked();
  await expect(page.getByLabel("Allowed IP addresses")).toHaveValue("10.0.0.0/8\n192.168.1.1");
  await expect(page.getByLabel("Expires", { exact: true })).toHaveValue(expires);
});

test("all choices of a new webhook stay after an error, and after a dry run", async ({ page, browserConsole }) => {
  browserConsole.allowStatus(422);
  await signIn(page, person.olivia);
  await visit(page, `${SETTINGS}/webhooks`);
  await page.getByLabel("URL", { exact: true }).fill("http://10.0.0.1/no");
  await page.getByLabel("Description").fill("CRM");
  await page.getByRole("checkbox", { name: "contact.created" }).check();
  await page.getByLabel("Path 1").fill("data.stage");
  await page.getByLabel("Operator 1").selectOption("contains");
  await page.getByLabel("Value 1", { exact: true }).fill("won");
  await page.getByRole("checkbox", { name: "Include test events" }).check();
  for (const button of ["Create Webhook", "Preview Matches"]) {
    await press(page, page.getByRole("button", { name: button }));
    if (button === "Create Webhook") await expect(page.getByLabel("URL", { exact: true })).toHaveAttribute("aria-invalid", "true");
    await expect(page.getByLabel("URL", { exact: true })).toHaveValue("http://10.0.0.1/no");
    await expect(page.getByLabel("Description")).toHaveValue("CRM");
    await expect(page.getByRole("checkbox", { name: "contact.created" })).toBeChecked();
    await expect(page.getByLabel("Path 1")).toHaveValue("data.stage");
    await expect(page.getByLabel("Operator 1")).toHaveValue("contains");
    await expect(page.getByLabel("Value 1", { exact: true })).toHaveValue("won");
    await expect(page.getByRole("checkbox", { name: "Include test events" })).toBeChecked();
  }
});

test("without scripts a refused form that is folded away is open, with what was typed", async ({ page, scripts, browserConsole }) => {
  browserConsole.allowStatus(422);
  await signIn(page, person.olivia);
  await visit(page, `${SETTINGS}/workspace`);
  await page.getByText("Transfer Ownership", { exact: true }).first().click();
  await page.getByLabel("New owner").selectOption({ label: person.adam.name });
  await page.getByLabel("Type the slug to transfer").fill("acne");
  await press(page, page.getByRole("button", { name: "Transfer Ownership" }));
  await expect(page.getByLabel("Type the slug to transfer")).toHaveAttribute("aria-invalid", "true");
  await expect(page.getByLabel("Type the slug to transfer")).toHaveValue("acne");
  await expect(page.getByLabel("New owner").locator("option:checked")).toHaveText(person.adam.name);
  if (!scripts) await expect(page.getByLabel("New owner")).toBeVisible();
});

test.describe("while others are at work", () => {
  test.skip(({ scripts }) => !scripts, "live behaviour takes a script");

  /** Changes a person's name, in a browser of their own: members' lists follow it. */
  async function rename(page: Page, name: string): Promise<void> {
    await visit(page, `${SETTINGS}/account`);
    await page.getByLabel("Name", { exact: true }).fill(name);
    await page.getByRole("button", { name: "Save Changes" }).click();
    await expectSaid(page, "Changes saved");
  }

  test("a dialog over a row stays open with what was chosen, and follows what it is about", async ({ page, newVisitor }) => {
    const mia = await newVisitor();
    await signIn(mia, person.mia);
    await signIn(page, person.olivia);
    await visit(page, `${SETTINGS}/members`);
    await member(page, person.mia.name).getByRole("button", { name: "Change Role" }).click();
    const chosen = page.getByLabel("New role").locator("visible=true");
    await chosen.selectOption("client");
    await rename(mia, "Mia M. Moreno");

    // What is stored changes too: what was chosen here stays.
    const adam = await newVisitor();
    await signIn(adam, person.adam);
    await visit(adam, `${SETTINGS}/members`);
    await member(adam, "Mia M. Moreno").getByRole("button", { name: "Change Role" }).click();
    await adam.getByLabel("New role").locator("visible=true").selectOption("admin");
    await adam.getByRole("button", { name: "Save Role" }).locator("visible=true").click();
    await expect(member(page, "Mia M. Moreno").getByRole("cell").filter({ hasText: /^Admin$/ })).toHaveCount(1);
    await expect(page.getByRole("dialog", { name: "Change Mia M. Moreno's Role" })).toBeVisible();
    await expect(chosen).toHaveValue("client");
    await page.keyboard.press("Escape");
    // Untouched, it shows what is stored.
    await member(page, "Mia M. Moreno").getByRole("button", { name: "Change Role" }).click();
    await expect(chosen).toHaveValue("admin");
    await chosen.selectOption("member");
    await page.getByRole("button", { name: "Save Role" }).locator("visible=true").click();
    await expectSaid(page, /Mia M. Moreno/);
    await rename(mia, person.mia.name);
  });

  test("a key that is used meanwhile leaves its page's forms alone", async ({ page, request }) => {
    await signIn(page, person.olivia);
    const make = async (name: string) => {
      await visit(page, `${SETTINGS}/api-keys?new=1`);
      await page.getByLabel("Name").fill(name);
      await page.getByRole("checkbox", { name: "Read Contacts" }).check();
      await page.getByRole("checkbox", { name: "Read Tags" }).check();
      await page.getByRole("button", { name: "Create Key" }).click();
      return page.getByLabel("API Key").inputValue();
    };
    const use = async (key: string) => {
      const answer = await request.get("/api/v1/contacts", { headers: { authorization: `Bearer ${key}` } });
      expect(answer.ok()).toBe(true);
    };
    const [inList, onPage] = [await make("Listed"), await make("Opened")];
    const row = (name: string) => card(page, "Keys").getByRole("row").filter({ has: page.getByRole("rowheader", { name }) });

    await row("Listed").getByRole("button", { name: "Revoke" }).click();
    const typed = page.getByLabel("Key name").locator("visible=true");
    await typed.fill("List");
    await use(inList);
    await expect(row("Listed").getByRole("cell").filter({ hasText: /just now.* from / })).toHaveCount(1, { timeout: 15_000 });
    await expect(typed).toHaveValue("List");
    await page.keyboard.press("Escape");

    await row("Opened").getByRole("link", { name: "Opened" }).click();
    const name = page.getByLabel("Name", { exact: true });
    await name.fill("Opener");
    const box = page.getByRole("checkbox", { name: "Read Tags" });
    await box.uncheck();
    await use(onPage);
    await expect(card(page, "Requests").getByRole("rowheader")).toHaveCount(1, { timeout: 15_000 });
    await expect(box).not.toBeChecked();
    await expect(name).toHaveValue("Opener");
  });

  test("the choice of a new owner stays when members change", async ({ page, newVisitor }) => {
    const mia = await newVisitor();
    await signIn(mia, person.mia);
    await signIn(page, person.olivia);
    await visit(page, `${SETTINGS}/workspace`);
    await page.getByText("Transfer Ownership", { exact: true }).first().click();
    const owner = page.getByLabel("New owner");
    await owner.selectOption({ label: person.mia.name });
    await page.getByLabel("Type the slug to transfer").fill("ac");
    await rename(mia, "Mia Renamed");
    // The page hears of members when one changes in the workspace.
    const adam = await newVisitor();
    await signIn(adam, person.adam);
    await visit(adam, `${SETTINGS}/members`);
    await adam.getByLabel("Email Address").fill("new@acme.example");
    await adam.getByRole("button", { name: "Send Invitation" }).click();
    await expect(owner.locator("option:checked")).toHaveText("Mia Renamed");
    await expect(page.getByLabel("Type the slug to transfer")).toHaveValue("ac");
    await expect(owner).toBeVisible();
    await rename(mia, person.mia.name);
  });

  test("what is typed while the form is on its way stays", async ({ page }) => {
    await signIn(page, person.adam);
    await visit(page, `${SETTINGS}/account`);
    const slow = async (path: string) => {
      let go = () => {};
      const gate = new Promise<void>((resolve) => (go = resolve));
      await page.route(path, async (route) => {
        await gate;
        await route.continue();
      });
      return go;
    };
    const answer = await slow("**/fn/save_profile");
    const name = page.getByLabel("Name", { exact: true });
    await name.fill("Adam A.");
    await page.getByRole("button", { name: "Save Changes" }).click();
    await name.press("End");
    await name.pressSequentially(" Archer");
    answer();
    await expectSaid(page, "Changes saved");
    await expect(page.getByRole("button", { name: "Account menu" })).toBeVisible();
    await page.waitForTimeout(300);
    await expect(name).toHaveValue("Adam A. Archer");
    // It was not saved: leaving asks.
    const asked = page.waitForEvent("dialog");
    const leave = page.getByRole("link", { name: "Members", exact: true }).click();
    await (await asked).accept();
    await leave;
    await page.waitForURL("**/members");

    const sent = await slow("**/fn/invite_members");
    await page.getByLabel("Email Address").fill("kim@acme.example");
    await page.getByRole("button", { name: "Send Invitation" }).click();
    await page.getByLabel("Email Address").fill("lou@acme.example");
    await role(page).selectOption("admin");
    sent();
    await expect(invitation(page, "kim@acme.example")).toContainText("Member");
    await expect(page.getByLabel("Email Address")).toHaveValue("lou@acme.example");
    await expect(role(page)).toHaveValue("admin");
  });
});

test("what is typed and chosen before the script has come stays when it comes", async ({ page, scripts }) => {
  test.skip(!scripts, "without scripts nothing comes");
  await signIn(page, person.olivia);
  let go = () => {};
  const gate = new Promise<void>((resolve) => (go = resolve));
  await page.route("**/*.wasm*", async (route) => {
    await gate;
    await route.continue();
  });
  const early = async (address: string, fields: () => Promise<void>) => {
    await page.goto(address, { waitUntil: "commit" });
    await fields();
  };
  const field: Locator = page.getByLabel("Email Address");
  await early(`${SETTINGS}/members`, async () => {
    await field.fill("early@acme.example");
    await role(page).selectOption("client");
  });
  go();
  await hydrated(page);
  await expect(field).toHaveValue("early@acme.example");
  await expect(role(page)).toHaveValue("client");
});
