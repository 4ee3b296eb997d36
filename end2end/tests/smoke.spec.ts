// The program runs, and everybody can come in and leave again.

import { expectAccessible } from "../support/axe.ts";
import { expect, person, signIn, signOut, test, visit } from "../support/test.ts";

test("the process answers and its database is ready", async ({ request }) => {
  expect((await request.get("/healthz")).status()).toBe(200);
  expect((await request.get("/readyz")).status()).toBe(200);
});

test("the sign-in page can be used by everyone", async ({ page, scripts }) => {
  await visit(page, "/login");
  await expect(page).toHaveTitle(/\S/);
  await expect(page.getByRole("button", { name: "Sign In" })).toBeVisible();
  // axe-core is itself a script.
  if (scripts) await expectAccessible(page);
});

for (const who of Object.values(person)) {
  test(`${who.name} signs in and out`, async ({ page, browserConsole }) => {
    browserConsole.allowStatus(401);
    await signIn(page, who);
    const inside = page.url();
    await expect(page.getByRole("button", { name: "Account menu" })).toBeVisible();

    await signOut(page);
    // Out is out: the address that just worked leads back to the door.
    await page.goto(inside);
    await expect(page).toHaveURL(/\/login/);
  });
}

test("a wrong password stays outside, with the address kept", async ({ page, browserConsole }) => {
  browserConsole.allowStatus(401, 422);
  await visit(page, "/login");
  await page.getByLabel("Email").fill(person.olivia.email);
  await page.getByLabel("Password", { exact: true }).fill("not her password");
  await page.getByRole("button", { name: "Sign In" }).click();
  await expect(page.getByText("Incorrect email or password")).toBeVisible();
  await expect(page).toHaveURL(/\/login/);
  await expect(page.getByLabel("Email")).toHaveValue(person.olivia.email);
});

test("two people are two browsers", async ({ page, newVisitor }) => {
  await signIn(page, person.olivia);
  const other = await newVisitor();
  await signIn(other, person.greta);
  expect(new URL(page.url()).pathname).toBe("/w/acme");
  expect(new URL(other.url()).pathname).toBe("/w/globex");
});
