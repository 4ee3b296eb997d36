// Paying on another site's pages, under this one's content security policy, with script and without.

import { Stripe } from "../support/stripe.ts";
import { card, expect, expectSaid, hydrated, person, press, signIn, test, visit } from "../support/test.ts";

const stripe = await Stripe.start();
test.use({ environment: stripe.environment });

test("credits are paid on Checkout and are there when one comes back", async ({ page }) => {
  await signIn(page, person.adam);
  await visit(page, "/w/acme/settings/credits");
  const balance = async () => Number((await page.getByTestId("credit-balance").innerText()).replaceAll(",", ""));
  const before = await balance();
  const row = card(page, "Credit packages").getByRole("row", { name: "3,000 credits" });
  await row.getByRole("button", { name: "Buy", exact: true }).click();
  await page.waitForURL(`${stripe.url}/c/pay/*`);
  await expect(page.getByRole("heading", { name: "Pay $79" })).toBeVisible();
  await page.getByRole("link", { name: "Back" }).click();
  await page.waitForURL("**/settings/credits?payment=*");
  await expect(page.getByText("Your $79 payment for 3,000 credits isn't complete yet.")).toBeVisible();
  await page.goBack();
  await page.getByRole("button", { name: "Pay" }).click();
  await page.waitForURL("**/settings/credits?payment=*");
  await hydrated(page);
  await expect(page.getByText("Your $79 payment for 3,000 credits went through. Thank you.")).toBeVisible();
  expect(await balance()).toBe(before + 3000);
});

test("a plan is paid on Checkout, a better one by the card that was kept, which the portal manages", async ({ page, scripts }) => {
  await signIn(page, person.greta);
  await visit(page, "/new");
  const slug = scripts ? "with-script" : "without-script";
  await page.getByLabel("Workspace Name").fill("Fresh");
  await page.getByLabel("Slug (Workspace URL)").fill(slug);
  await page.getByRole("button", { name: "Create Workspace" }).click();
  await page.waitForURL(`**/w/${slug}`);
  await visit(page, `/w/${slug}/settings/billing?plan=light`);
  await page.getByRole("button", { name: "Pay $49" }).click();
  await page.waitForURL(`${stripe.url}/c/pay/*`);
  await page.getByRole("button", { name: "Pay" }).click();
  await page.waitForURL("**/settings/billing?payment=*");
  await hydrated(page);
  await expect(page.getByTestId("current-plan")).toHaveText("Light");

  await visit(page, `/w/${slug}/settings/billing?plan=scale`);
  await press(page, page.getByRole("button", { name: /^Upgrade and Pay \$/ }));
  await expectSaid(page, "You're now on Scale");
  await expect(page.getByTestId("current-plan")).toHaveText("Scale");
  expect(stripe.charges).toHaveLength(1);

  await page.getByRole("button", { name: "Manage Payment Method" }).click();
  await page.waitForURL(`${stripe.url}/p/session/*`);
  await page.getByRole("link", { name: "Return" }).click();
  await page.waitForURL(`**/w/${slug}/settings/billing`);
});
