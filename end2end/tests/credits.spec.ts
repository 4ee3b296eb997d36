// Credits: what there is, what each feature takes, and buying more.

import { expectAccessible } from "../support/axe.ts";
import { card, expect, expectSaid, hydrated, person, press, signIn, test, visit, type Page } from "../support/test.ts";

const PAGE = "/w/acme/settings/credits";

const balance = async (page: Page) => Number((await page.getByTestId("credit-balance").innerText()).replaceAll(",", ""));

/** Presses Buy at a package; ends on the page where it is paid. */
async function buy(page: Page, credits: string): Promise<void> {
  const row = card(page, "Credit packages").getByRole("row", { name: `${credits} credits` });
  await row.getByRole("button", { name: "Buy", exact: true }).click();
  await page.waitForURL("**/pay/*");
  await hydrated(page);
}

/** Presses a button there; ends where one came from. */
async function choose(page: Page, button: string): Promise<void> {
  await page.getByRole("button", { name: button, exact: true }).click();
  await page.waitForURL(/\/w\/acme\/settings\/credits\?payment=pay_\w+$/);
  await hydrated(page);
}

test("packages and costs stand there as they are sold", async ({ page }) => {
  await signIn(page, person.olivia);
  await visit(page, PAGE);
  const packages = page.getByRole("table", { name: "Credit packages" });
  await expect(packages.getByRole("row", { name: /1,000 credits/ })).toContainText("$29");
  await expect(packages.getByRole("row", { name: /3,000 credits/ })).toContainText("9%");
  await expect(packages.getByRole("row", { name: /5,000 credits/ })).toContainText("18%");
  const costs = page.getByRole("table", { name: "Credit cost by feature" });
  await expect(costs.getByRole("row")).toHaveCount(9);
  await expect(costs.getByRole("row", { name: "Smart Automation 10" })).toBeVisible();
});

test("what is bought is there at once, in another window too", async ({ page, newVisitor, scripts }) => {
  await signIn(page, person.olivia);
  await visit(page, PAGE);
  const before = await balance(page);
  const other = await newVisitor();
  await signIn(other, person.mia);
  await visit(other, PAGE);

  await buy(page, "3,000");
  await expect(page.getByText("$79")).toBeVisible();
  await choose(page, "Pay");
  await expect(page.getByText("Your $79 payment for 3,000 credits went through. Thank you.")).toBeVisible();
  expect(await balance(page)).toBe(before + 3000);
  const ledger = page.getByRole("table", { name: "Credit history" });
  await expect(ledger.getByRole("row").nth(1)).toContainText(/Purchased.*\+3,000.*Olivia Owens/);

  if (!scripts) await other.reload();
  await expect(other.getByTestId("credit-balance")).toHaveText((before + 3000).toLocaleString("en-US"));
});

test("what is declined costs nothing and adds nothing", async ({ page }) => {
  await signIn(page, person.adam);
  await visit(page, PAGE);
  const before = await balance(page);
  await buy(page, "1,000");
  await choose(page, "Decline");
  await expect(page.getByText("Your $29 payment for 1,000 credits was declined. You weren't charged.")).toBeVisible();
  expect(await balance(page)).toBe(before);
});

test("a bank that takes its time is waited for", async ({ page, scripts }) => {
  await signIn(page, person.adam);
  await visit(page, PAGE);
  const before = await balance(page);
  await buy(page, "1,000");
  await choose(page, "Succeed after Bank Confirmation");
  await expect(page.getByText("Your bank is confirming your $29 payment for 1,000 credits.")).toBeVisible();
  expect(await balance(page)).toBe(before);
  await expect(async () => {
    if (!scripts) await page.reload();
    await expect(page.getByText("Your $29 payment for 1,000 credits went through")).toBeVisible({ timeout: scripts ? 15_000 : 500 });
  }).toPass({ timeout: 15_000 });
  expect(await balance(page)).toBe(before + 1000);
});

test("one can go back without paying, and pay once only", async ({ page }) => {
  await signIn(page, person.adam);
  await visit(page, PAGE);
  await buy(page, "5,000");
  const pay = page.url();
  await page.getByRole("link", { name: "Cancel and return" }).click();
  await page.waitForURL("**/settings/credits?payment=*");
  await expect(page.getByText("Your $119 payment for 5,000 credits isn't complete yet.")).toBeVisible();
  await visit(page, pay);
  await choose(page, "Pay");
  await visit(page, pay);
  await expect(page.getByText("Payment complete.")).toBeVisible();
  await expect(page.getByRole("button", { name: "Pay", exact: true })).toHaveCount(0);
});

test("the page to pay on is for everyone", async ({ page, scripts }) => {
  test.skip(!scripts, "axe-core is itself a script");
  await signIn(page, person.adam);
  await visit(page, PAGE);
  await buy(page, "1,000");
  for (const colorScheme of ["light", "dark"] as const) {
    for (const width of [360, 1280]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 900 });
      await expectAccessible(page);
    }
  }
});

test("who may see the balance but not buy is told who can", async ({ page, browserConsole }) => {
  await signIn(page, person.mia);
  await visit(page, PAGE);
  await expect(page.getByTestId("credit-balance")).toBeVisible();
  await expect(page.getByRole("button", { name: "Buy" })).toHaveCount(0);
  await expect(page.getByText("Ask an owner or admin to buy more credits")).toBeVisible();

  browserConsole.allowStatus(403);
  await page.context().clearCookies();
  await signIn(page, person.cleo);
  await expect(page.getByRole("navigation").getByRole("link", { name: "Credits" })).toHaveCount(0);
  await page.goto(PAGE);
  await expect(page.getByRole("heading", { name: "You don't have access to this page" })).toBeVisible();
});

test("when to warn of a low balance is the workspace's own choice", async ({ page, browserConsole }) => {
  browserConsole.allowStatus(422);
  await signIn(page, person.adam);
  await visit(page, PAGE);
  const warning = card(page, "Low-Balance Alert");
  await expect(warning.getByText("10% of your plan credits (currently 200)")).toBeVisible();
  await warning.getByLabel("Alert threshold").fill("soon");
  await press(page, warning.getByRole("button", { name: "Save Changes" }));
  await expect(warning.getByText("Enter a whole number")).toBeVisible();
  await expect(warning.getByLabel("Alert threshold")).toHaveValue("soon");
  await warning.getByLabel("Alert threshold").fill("1,500");
  await press(page, warning.getByRole("button", { name: "Save Changes" }));
  await expectSaid(page, "Changes saved");
  await visit(page, PAGE);
  await expect(warning.getByLabel("Alert threshold")).toHaveValue("1500");
});

test("few credits left are topped up, as far as was said", async ({ page, server, scripts, browserConsole }) => {
  browserConsole.allowStatus(422);
  await signIn(page, person.adam);
  await visit(page, PAGE);
  const before = await balance(page);
  const topUp = card(page, "Auto Top-Up");
  await expect(topUp).toContainText("Auto top-up is off");
  await topUp.getByLabel("Package").selectOption("1,000 credits for $29");
  await topUp.getByLabel("Monthly limit ($)").fill("10");
  await press(page, topUp.getByRole("button", { name: "Save Changes" }));
  await expect(topUp.getByText("Must be at least $29, the price of this package")).toBeVisible();
  await expect(topUp.getByLabel("Monthly limit ($)")).toHaveValue("10");
  await expect(topUp.getByLabel("Package")).toHaveValue("1000");
  await topUp.getByLabel("Monthly limit ($)").fill("60");
  await press(page, topUp.getByRole("button", { name: "Save Changes" }));
  await expectSaid(page, "Auto top-up is on");
  await expect(topUp.getByLabel("Package")).toHaveValue("1000");
  await expect(topUp).toContainText(/Buys 1,000 credits when the balance drops below [\d,]+\. \$0 of \$60 used this month\./);

  const warning = card(page, "Low-Balance Alert");
  await warning.getByLabel("Alert threshold").fill("1,000,000");
  await press(page, warning.getByRole("button", { name: "Save Changes" }));
  await expectSaid(page, "Changes saved");
  const spent = await fetch(`${server.url}/api/v1/credits/spend`, {
    method: "POST",
    headers: { authorization: `Bearer ${server.makeKey("acme")}`, "content-type": "application/json" },
    body: JSON.stringify({ feature: "quick_answer" }),
  });
  expect(spent.status).toBe(201);
  await expect(async () => {
    if (!scripts) await page.reload();
    await expect(topUp).toContainText("$58 of $60 used this month.", { timeout: scripts ? 15_000 : 500 });
  }).toPass({ timeout: 15_000 });
  expect(await balance(page)).toBe(before - 1 + 2000);
  await expect(page.getByRole("table", { name: "Credit history" }).getByRole("row").nth(1)).toContainText(/Purchased.*\+1,000/);

  await topUp.getByLabel("Package").selectOption("Off");
  await press(page, topUp.getByRole("button", { name: "Save Changes" }));
  await expectSaid(page, "Auto top-up is off");
  await expect(topUp).toContainText("Auto top-up is off");
});

test("the ledger is filtered by its address and taken along as a file", async ({ page }) => {
  await signIn(page, person.adam);
  await visit(page, PAGE);
  await press(page, page.getByRole("navigation", { name: "Credit history by type" }).getByRole("link", { name: "Granted" }));
  await page.waitForURL("**/credits?kind=grant");
  const rows = page.getByRole("table", { name: "Credit history" }).getByRole("row");
  await expect(rows.nth(1)).toContainText("Granted");
  await expect(rows.filter({ hasText: "Spent" })).toHaveCount(0);
  await page.goBack();
  await expect(rows.filter({ hasText: "Spent" }).first()).toBeVisible();

  const coming = page.waitForEvent("download");
  await page.getByRole("link", { name: "Export CSV" }).click();
  const file = await coming;
  expect(file.suggestedFilename()).toBe("credits.csv");
});
