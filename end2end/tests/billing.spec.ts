// Billing: what is subscribed to, changing it with a look before, and what a workspace that nobody pays for can do.

import { expectAccessible } from "../support/axe.ts";
import { card, expect, expectSaid, hydrated, person, press, signIn, test, visit, type Page } from "../support/test.ts";

const PAGE = "/w/acme/settings/billing";

/** Presses Choose {plan}; ends at what would come of it. */
async function look(page: Page, plan: string): Promise<void> {
  await page.getByRole("button", { name: `Choose ${plan}`, exact: true }).click();
  await page.waitForURL(/\?plan=\w+/);
  await hydrated(page);
  await expect(page.getByRole("heading", { name: `Choose ${plan}` })).toBeVisible();
}

/** Makes a new workspace of Greta's, on trial, and opens its billing. */
async function found(page: Page, slug: string): Promise<void> {
  await signIn(page, person.greta);
  await visit(page, "/new");
  await page.getByLabel("Workspace Name").fill("Fresh");
  await page.getByLabel("Slug (Workspace URL)").fill(slug);
  await page.getByRole("button", { name: "Create Workspace" }).click();
  await page.waitForURL(`**/w/${slug}`);
  await visit(page, `/w/${slug}/settings/billing`);
}

/** Presses a button of the provider's page; ends where one came from. */
async function pay(page: Page, button: string): Promise<void> {
  await page.waitForURL("**/pay/*");
  await hydrated(page);
  await page.getByRole("button", { name: button, exact: true }).click();
  await page.waitForURL(/settings\/billing\?payment=pay_\w+$/);
  await hydrated(page);
}

test("what is subscribed to stands there, with what it costs and when", async ({ page }) => {
  await signIn(page, person.olivia);
  await visit(page, PAGE);
  await expect(page.getByTestId("current-plan")).toHaveText("Scale");
  await expect(page.getByTestId("plan-price")).toHaveText("$99 per month");
  await expect(page.getByTestId("next-billing-date")).toContainText("$99");
  await expect(card(page, "Current Plan")).toContainText("7 of 10 used");
  const plans = page.getByRole("table", { name: "Plans" });
  await expect(plans.getByRole("row", { name: "Price per month" })).toHaveText("Price per month$49$99$199");
  await expect(plans.getByRole("row", { name: "Seats" })).toHaveText("Seats31025");
  await expect(plans.getByRole("row", { name: "LinkedIn accounts" })).toHaveText("LinkedIn accounts1Up to 3Up to 5");
  await expect(page.getByRole("button", { name: "Choose Scale" })).toBeDisabled();
  await expect(page.getByRole("table", { name: "Invoices" }).getByRole("row")).toHaveCount(3);
});

test("a smaller plan waits, names who is beyond its seats, and is taken back", async ({ page }) => {
  await signIn(page, person.adam);
  await visit(page, PAGE);
  await look(page, "Light");
  await expect(page.getByTestId("today")).toHaveText("$0");
  await expect(page.getByText("This plan includes 3 seats and you're using 7. Over the limit: Cleo Chen, Mia Moreno, Adam Archer and 1 more.")).toBeVisible();
  await press(page, page.getByRole("button", { name: "Schedule Downgrade" }));
  await expectSaid(page, /^Light starts on/);
  await expect(card(page, "Current Plan")).toContainText("Changes to Light ($49 per month)");
  await expect(page.getByRole("button", { name: "Choose Light" })).toBeDisabled();

  await look(page, "Scale");
  await press(page, page.getByRole("button", { name: "Keep Scale" }));
  await expectSaid(page, "You'll stay on Scale");
  await expect(card(page, "Current Plan")).not.toContainText("Changes to");
});

test("CDR Mode asks before it costs anything, and is turned off when the month ends", async ({ page }) => {
  await signIn(page, person.olivia);
  await visit(page, PAGE);
  const cdr = page.getByRole("switch", { name: "CDR Mode" });
  await expect(cdr).toHaveAttribute("aria-checked", "false");
  await cdr.click();
  const dialog = page.getByRole("dialog", { name: "Turn on CDR Mode?" });
  await expect(dialog).toContainText(/You'll pay \$\d+\.\d\d today \(prorated\)/);
  await press(page, dialog.getByRole("button", { name: /^Turn On and Pay \$/ }));
  await expectSaid(page, "You're now on Scale with CDR Mode");
  await expect(cdr).toHaveAttribute("aria-checked", "true");
  await expect(page.getByTestId("plan-price")).toHaveText("$398 per month");

  await cdr.click();
  await press(page, page.getByRole("button", { name: "Turn Off CDR Mode" }));
  await expectSaid(page, /CDR Mode turns off on/);
  await expect(card(page, "CDR Mode")).toContainText(/On until /);
});

test("a better plan counts at once, in another window too", async ({ page, newVisitor, scripts }) => {
  await signIn(page, person.adam);
  await visit(page, PAGE);
  const other = await newVisitor();
  await signIn(other, person.olivia);
  await visit(other, PAGE);
  await look(page, "Max");
  await expect(page.getByTestId("today")).toHaveText(/^\$\d+\.\d\d$/);
  await press(page, page.getByRole("button", { name: /^Upgrade and Pay \$/ }));
  await expectSaid(page, /You're now on Max/);
  await expect(page.getByTestId("current-plan")).toContainText("Max");
  if (!scripts) await other.reload();
  await expect(other.getByTestId("current-plan")).toContainText("Max");
});

test("a cancelled subscription works to its end, and is resumed", async ({ page }) => {
  await signIn(page, person.olivia);
  await visit(page, PAGE);
  await page.getByRole("button", { name: "Cancel Subscription" }).click();
  const dialog = page.getByRole("dialog", { name: "Cancel the subscription?" });
  await press(page, dialog.getByRole("button", { name: "Cancel Subscription" }));
  await expectSaid(page, /Subscription cancelled\. You keep full access until/);
  await expect(card(page, "Current Plan")).toContainText("Cancelled");
  await press(page, page.getByRole("button", { name: "Resume Subscription" }));
  await expectSaid(page, "Subscription resumed");
  await expect(page.getByRole("button", { name: "Cancel Subscription" }).first()).toBeVisible();
});

test("a card that is declined changes nothing, and another one does", async ({ page, browserConsole }) => {
  browserConsole.allowStatus(409);
  await signIn(page, person.greta);
  await visit(page, "/w/globex/settings/billing");
  const change = async (button: string) => {
    await page.getByRole("button", { name: "Manage Payment Method" }).click();
    await page.waitForURL("**/pay/card/*");
    await hydrated(page);
    await page.getByRole("button", { name: button }).click();
    await page.waitForURL("**/settings/billing");
    await hydrated(page);
  };
  await change("Use a Card That Gets Declined");
  await look(page, "Scale");
  await press(page, page.getByRole("button", { name: /^Upgrade and Pay \$/ }));
  await expect(page.getByText("Your card was declined.")).toBeVisible();
  await expect(page.getByTestId("current-plan")).toHaveText("Light");
  await change("Use a Card That Works");
  await look(page, "Scale");
  await press(page, page.getByRole("button", { name: /^Upgrade and Pay \$/ }));
  await expectSaid(page, "You're now on Scale");
  await expect(page.getByTestId("current-plan")).toHaveText("Scale");
});

test("invoices are made out to whom one says, and printed", async ({ page, browserConsole }) => {
  browserConsole.allowStatus(422);
  await signIn(page, person.olivia);
  await visit(page, PAGE);
  const details = card(page, "Billing Details");
  await details.getByLabel("VAT number").fill("DE 1/2");
  await details.getByLabel("Company name").fill("Acme GmbH");
  await press(page, details.getByRole("button", { name: "Save Changes" }));
  await expect(details.getByText("Enter a valid VAT number, like DE123456789")).toBeVisible();
  await expect(details.getByLabel("Company name")).toHaveValue("Acme GmbH");
  await details.getByLabel("VAT number").fill("DE 123 456 789");
  await press(page, details.getByRole("button", { name: "Save Changes" }));
  await expectSaid(page, "Changes saved");
  await expect(details.getByLabel("VAT number")).toHaveValue("DE123456789");

  const first = page.getByRole("table", { name: "Invoices" }).getByRole("row").last();
  await first.getByRole("link").click();
  await page.waitForURL("**/billing/invoices/1");
  const invoice = page.getByRole("article", { name: /^Invoice [0-9A-F]{8}-0001$/ });
  await expect(invoice).toContainText("Scale, 1 month");
  await expect(invoice).toContainText("$99");
  // As it was issued: to whom it was then.
  await expect(invoice).not.toContainText("Acme GmbH");
  await page.emulateMedia({ media: "print" });
  await expect(page.getByRole("navigation", { name: "Main" })).toBeHidden();
  await expect(invoice).toBeVisible();
});

test("a trial ends in frost, which says what still works, and paying thaws it", async ({ page, server, scripts, browserConsole }) => {
  browserConsole.allowStatus(403);
  const slug = scripts ? "fresh-with" : "fresh-without";
  await found(page, slug);
  await expect(page.getByTestId("current-plan")).toHaveText("Scale");
  await expect(page.getByTestId("plan-price")).toHaveText("Free during trial");
  server.letDaysPass(8);
  await page.reload();
  await hydrated(page);
  await expect(page.getByText("This workspace is frozen.")).toBeVisible();
  await expect(card(page, "Current Plan")).toContainText("Your trial has ended");
  if (scripts) await expectAccessible(page);

  // Everything can be read, and a change is refused where it was typed.
  await visit(page, `/w/${slug}/settings/workspace`);
  await page.getByLabel("Workspace Name").fill("Renamed");
  await press(page, card(page, "Name").getByRole("button", { name: "Save Changes" }));
  await expect(page.getByText("This workspace is frozen. Choose a plan to make changes.")).toBeVisible();

  await visit(page, `/w/${slug}/settings/billing`);
  await look(page, "Light");
  await expect(page.getByTestId("today")).toHaveText("$49");
  await page.getByRole("button", { name: "Pay $49" }).click();
  await pay(page, "Pay");
  await expect(page.getByText("Your $49 payment for Light, 1 month went through. Thank you.")).toBeVisible();
  await expect(page.getByTestId("current-plan")).toHaveText("Light");
  await expect(page.getByText("This workspace is frozen.")).toBeHidden();
});

test("nobody else comes to it, and they are told who can help", async ({ page, browserConsole }) => {
  browserConsole.allowStatus(403);
  await signIn(page, person.mia);
  await visit(page, PAGE);
  await expect(page.getByText("an owner or admin of this workspace")).toBeVisible();
  await expect(page.getByRole("link", { name: "Billing", exact: true })).toHaveCount(0);
});
