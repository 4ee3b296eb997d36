// The ways in: sign-up, sign-in with a page to come back to, a forgotten password.

import { card, expect, expectSaid, followMail, hydrated, person, press, signIn, signOut, test, visit } from "../support/test.ts";

test("someone new signs up and confirms their address", async ({ page }) => {
  await visit(page, "/signup");
  await page.getByLabel("Name", { exact: true }).fill("Nora Novak");
  await page.getByLabel("Email").fill("nora@initech.example");
  await page.getByLabel("Password").fill("unrelated words make sense");
  await page.getByLabel("Workspace Name").fill("Initech & Sons");
  await page.getByRole("button", { name: "Create Account" }).click();
  await page.waitForURL("**/w/initech-and-sons");

  await visit(page, "/w/initech-and-sons/settings/account");
  await expect(page.getByText("Confirm your email address. We sent you a link.")).toBeVisible();

  await followMail(page, "nora@initech.example", "Confirm your email for Wheelhouse");
  await press(page, page.getByRole("button", { name: "Confirm" }));
  await page.waitForURL("**/w/initech-and-sons");
  await visit(page, "/w/initech-and-sons/settings/account");
  await expect(page.getByText("Confirm your email address. We sent you a link.")).toBeHidden();
});

test("a bad sign-up is explained at its fields, and what was typed stays", async ({ page, browserConsole }) => {
  browserConsole.allowStatus(422);
  await visit(page, "/signup");
  await page.getByLabel("Email").fill("not an address");
  await page.getByLabel("Password").fill("short");
  await page.getByLabel("Workspace Name").fill("Umbrella");
  await press(page, page.getByRole("button", { name: "Create Account" }));

  const name = page.getByLabel("Name", { exact: true });
  await expect(name).toHaveAccessibleDescription(/Enter a name/);
  await expect(name).toHaveAttribute("aria-invalid", "true");
  await expect(page.getByLabel("Email")).toHaveAccessibleDescription(/like name@example.com/);
  await expect(page.getByLabel("Password")).toHaveAccessibleDescription(/at least 12 characters/i);
  await expect(page.getByLabel("Email")).toHaveValue("not an address");
  await expect(page.getByLabel("Workspace Name")).toHaveValue("Umbrella");
});

test("the focus goes to the first field that is wrong", async ({ page, scripts, browserConsole }) => {
  test.skip(!scripts, "moving the focus takes a script");
  browserConsole.allowStatus(422);
  await visit(page, "/signup");
  await page.getByLabel("Name", { exact: true }).fill("Ulla");
  await page.getByRole("button", { name: "Create Account" }).click();
  await expect(page.getByLabel("Email")).toBeFocused();
});

test("an address that is known already leads to the sign-in", async ({ page, browserConsole }) => {
  browserConsole.allowStatus(422);
  await visit(page, "/signup");
  await page.getByLabel("Name", { exact: true }).fill("Olivia again");
  await page.getByLabel("Email").fill(person.olivia.email.toUpperCase());
  await page.getByLabel("Password").fill("unrelated words make sense");
  await page.getByLabel("Workspace Name").fill("Again");
  await press(page, page.getByRole("button", { name: "Create Account" }));
  await expect(page.getByLabel("Email")).toHaveAccessibleDescription(/account with this email already exists/);
});

test("signing in leads back to where one wanted to go", async ({ page }) => {
  await page.goto("/w/acme/settings/members?status=expired");
  await page.waitForURL(/\/login\?next=/);
  await visit(page, page.url());
  await page.getByLabel("Email").fill(person.adam.email);
  await page.getByLabel("Password").fill("correct horse battery staple");
  await page.getByRole("button", { name: "Sign In" }).click();
  await page.waitForURL(/\/w\/acme\/settings\/members\?status=expired$/);
  await hydrated(page);
});

test("nobody is led to another site", async ({ page }) => {
  await visit(page, "/login?next=//elsewhere.example/w/acme");
  await page.getByLabel("Email").fill(person.adam.email);
  await page.getByLabel("Password").fill("correct horse battery staple");
  await page.getByRole("button", { name: "Sign In" }).click();
  await page.waitForURL("**/w/*");
  // To its end: Chromium was seen to hang when a page was closed that had only begun to load.
  await hydrated(page);
  expect(new URL(page.url()).hostname).toBe("127.0.0.1");
});

test("a forgotten password is replaced, once", async ({ page, newVisitor, browserConsole }) => {
  browserConsole.allowStatus(401);
  const elsewhere = await newVisitor();
  await signIn(elsewhere, person.cleo);

  await visit(page, "/forgot-password");
  await page.getByLabel("Email").fill(person.cleo.email);
  await press(page, page.getByRole("button", { name: "Send Reset Link" }));
  await expectSaid(page, /^Check your email\. If an account exists/);

  await followMail(page, person.cleo.email, "Reset your Wheelhouse password");
  const link = page.url();
  await page.getByLabel("New Password").fill("seven purple bicycles");
  await page.getByLabel("Confirm Password").fill("seven purple bicycles");
  await press(page, page.getByRole("button", { name: "Update Password" }));
  await page.waitForURL("**/login*");
  await expectSaid(page, "Password changed. Sign in with your new password.");

  await visit(page, link);
  await expect(page.getByRole("heading", { name: "This link has expired" })).toBeVisible();

  // Whoever knew the old password is out.
  await elsewhere.goto("/w/acme");
  await expect(elsewhere).toHaveURL(/\/login/);
  await signIn(page, person.cleo, "seven purple bicycles");
  await signOut(page);
});

test("the page that follows says what was done", async ({ page }) => {
  await signIn(page, person.adam);
  await expectSaid(page, "Signed in");
  await signOut(page);
  await expectSaid(page, "Signed out");
  // Once, and not again on the page after it.
  await visit(page, "/signup");
  await expect(page.getByRole("status")).toBeEmpty();
});

test("someone without a workspace can make one, or sign out", async ({ page, browserConsole }) => {
  browserConsole.allowStatus(401, 404);
  await signIn(page, person.mia);
  await visit(page, "/w/acme/settings/workspace");
  const danger = card(page, "Danger Zone");
  await danger.getByText("Leave Workspace").first().click();
  await danger.getByLabel("Type the slug to leave").fill("acme");
  await press(page, danger.getByRole("button", { name: "Leave Workspace" }));
  await page.waitForURL("**/new");
  await expectSaid(page, "You left Acme");
  await expect(page.getByRole("button", { name: "Create Workspace" })).toBeVisible();
  await press(page, page.getByRole("button", { name: "Sign Out" }));
  await page.waitForURL("**/login");
  await expectSaid(page, "Signed out");
});

test("an address that nobody has gets the same answer", async ({ page }) => {
  await visit(page, "/forgot-password");
  await page.getByLabel("Email").fill("nobody@nowhere.example");
  await press(page, page.getByRole("button", { name: "Send Reset Link" }));
  await expectSaid(page, /^Check your email\. If an account exists/);
});

test("a page that does not exist says so", async ({ page, browserConsole }) => {
  browserConsole.allowStatus(404);
  const answer = await page.goto("/no/such/page");
  expect(answer?.status()).toBe(404);
  await expect(page.getByRole("heading", { name: "Page not found" })).toBeVisible();
});

test("an error page has its title, its place for the skip link, and a way on", async ({ page, browserConsole }) => {
  browserConsole.allowStatus(404);
  await signIn(page, person.greta);
  for (const address of ["/w/acme", "/invite/none", "/unsubscribe/none", "/no/such/page", "/w/globex/settings/none"]) {
    await page.goto(address);
    await expect(page).toHaveTitle(/^Page not found/);
    await expect(page.getByRole("main")).toHaveCount(1);
    await expect(page.getByRole("main").getByRole("heading", { name: "Page not found" })).toBeVisible();
    await expect(page.getByRole("link", { name: "Back to Your Workspace" })).toBeVisible();
  }
});

test("a page that could not be fetched can be tried again", async ({ page, scripts, browserConsole }) => {
  test.skip(!scripts, "without scripts the browser itself says so");
  browserConsole.allowMessage(/ERR_FAILED|Failed to load resource/);
  await signIn(page, person.adam);
  await page.route("**/fn/load_matrix", (route) => route.abort());
  await page.getByRole("link", { name: "Notifications", exact: true }).click();
  await expect(page.getByRole("heading", { name: "No connection" })).toBeVisible();
  await page.unrouteAll({ behavior: "wait" });
  await page.getByRole("link", { name: "Try Again" }).click();
  await expect(page.getByRole("switch", { name: "Billing: Email" })).toBeVisible();
});

test("another's workspace is as good as none", async ({ page, browserConsole }) => {
  browserConsole.allowStatus(404);
  await signIn(page, person.greta);
  const foreign = await page.goto("/w/acme/settings/members");
  expect(foreign?.status()).toBe(404);
  const nowhere = await page.goto("/w/no-such-place/settings/members");
  expect(nowhere?.status()).toBe(404);
});
