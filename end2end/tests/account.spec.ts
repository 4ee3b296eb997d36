// Account: who one is, how one signs in, and where.

import { invalid } from "../support/answers.ts";
import { card, expect, expectSaid, followMail, password, person, press, signIn, test, visit } from "../support/test.ts";

const ACCOUNT = "/w/acme/settings/account";

test("the name is saved, and shown wherever it stands", async ({ page }) => {
  await signIn(page, person.olivia);
  await visit(page, ACCOUNT);
  await expect(page).toHaveTitle(/^Account/);
  await page.getByLabel("Name", { exact: true }).fill("Olivia Oaks");
  await press(page, page.getByRole("button", { name: "Save Changes" }));
  await expectSaid(page, "Changes saved");
  await expect(page.getByLabel("Name", { exact: true })).toHaveValue("Olivia Oaks");

  await visit(page, "/w/acme/settings/members");
  await expect(page.getByRole("rowheader", { name: /Olivia Oaks/ })).toBeVisible();
});

test("a bad name is refused at its field and nothing typed is lost", async ({ page, browserConsole }) => {
  browserConsole.allowStatus(422);
  await signIn(page, person.olivia);
  await visit(page, ACCOUNT);
  await page.getByLabel("Name", { exact: true }).fill("   ");
  await page.getByLabel("Email").fill("olivia@");
  await press(page, page.getByRole("button", { name: "Save Changes" }));
  await expect(page.getByLabel("Name", { exact: true })).toHaveAccessibleDescription(/Enter a name/);
  await expect(page.getByLabel("Email")).toHaveAccessibleDescription(/like name@example.com/);
  await expect(page.getByLabel("Email")).toHaveValue("olivia@");
});

test("a new address waits until it is confirmed from there", async ({ page, newVisitor, browserConsole }) => {
  browserConsole.allowStatus(401);
  await signIn(page, person.mia);
  await visit(page, ACCOUNT);
  await page.getByLabel("Email").fill("mia@elsewhere.example");
  await press(page, page.getByRole("button", { name: "Save Changes" }));
  await expectSaid(page, /Check mia@elsewhere.example for a confirmation link/);
  await expect(page.getByText("to finish the change")).toBeVisible();
  // The new address does not count yet, so it does not stand there as if it did.
  await expect(page.getByLabel("Email")).toHaveValue(person.mia.email);
  await press(page, page.getByRole("button", { name: "Resend" }));
  await expectSaid(page, "Confirmation email sent");

  await followMail(page, "mia@elsewhere.example", "Confirm your new email for Wheelhouse");
  await press(page, page.getByRole("button", { name: "Confirm" }));
  await page.waitForURL("**/login*");
  await signIn(page, { email: "mia@elsewhere.example" });

  // The old address was told, and can take it back even now.
  const owner = await newVisitor();
  await followMail(owner, person.mia.email, "Someone requested an email change");
  await press(owner, owner.getByRole("button", { name: "Keep My Current Email" }));
  await owner.waitForURL("**/login*");
  await signIn(owner, person.mia);
  await page.goto(ACCOUNT);
  await expect(page).toHaveURL(/\/login/);
});

test("a field that the server asks for appears when it asks", async ({ page, scripts, browserConsole }) => {
  test.skip(!scripts, "without scripts the page is loaded anew");
  browserConsole.allowStatus(422);
  await signIn(page, person.cleo);
  await visit(page, ACCOUNT);
  await expect(page.getByLabel("Current Password")).toHaveCount(0);
  // As the server answers once the sign-in is old; no clock of ours can make it so.
  const refusal = await invalid(page, "current_password", "Enter your current password to continue");
  await page.route("**/fn/update_password", (route) => route.fulfill({ status: 422, body: refusal }));
  await page.getByLabel("New Password").fill("seven purple bicycles");
  await page.getByLabel("Confirm Password").fill("seven purple bicycles");
  await page.getByRole("button", { name: "Update Password" }).click();
  await expect(page.getByLabel("Current Password")).toBeFocused();
  await expect(page.getByLabel("Current Password")).toHaveAccessibleDescription(/Enter your current password/);
  await page.getByLabel("New Password").fill("");
  await page.getByLabel("Confirm Password").fill("");
});

test("a change of address can be cancelled", async ({ page }) => {
  await signIn(page, person.cleo);
  await visit(page, ACCOUNT);
  await page.getByLabel("Email").fill("cleo@elsewhere.example");
  await press(page, page.getByRole("button", { name: "Save Changes" }));
  await press(page, page.getByRole("button", { name: "Cancel" }));
  await expectSaid(page, "Email change cancelled");
  await expect(page.getByText("to finish the change")).toBeHidden();
});

test("a password is changed, and everybody else is signed out", async ({ page, newVisitor, browserConsole }) => {
  browserConsole.allowStatus(401, 422);
  const elsewhere = await newVisitor();
  await signIn(elsewhere, person.adam);
  await signIn(page, person.adam);
  await visit(page, ACCOUNT);
  const update = page.getByRole("button", { name: "Update Password" });

  await page.getByLabel("New Password").fill("seven purple bicycles");
  await page.getByLabel("Confirm Password").fill("eight purple bicycles");
  await press(page, update);
  await expect(page.getByLabel("Confirm Password")).toHaveAccessibleDescription("Passwords don't match");

  await page.getByLabel("New Password").fill("password1234");
  await page.getByLabel("Confirm Password").fill("password1234");
  await press(page, update);
  await expect(page.getByLabel("New Password")).toHaveAttribute("aria-invalid", "true");

  await page.getByLabel("New Password").fill("seven purple bicycles");
  await page.getByLabel("Confirm Password").fill("seven purple bicycles");
  await press(page, update);
  await expectSaid(page, "Password updated. Signed out of 1 other session.");
  await expect(page.getByLabel("New Password")).toHaveValue("");

  // It may be leaving for the sign-in page by itself at this moment.
  await elsewhere.goto(ACCOUNT).catch(() => undefined);
  await expect(elsewhere).toHaveURL(/\/login/);
  await elsewhere.goto("/login");
  await elsewhere.getByLabel("Email").fill(person.adam.email);
  await elsewhere.getByLabel("Password").fill(password);
  await press(elsewhere, elsewhere.getByRole("button", { name: "Sign In" }));
  await expect(elsewhere.getByText("Incorrect email or password")).toBeVisible();
});

test("sessions are listed and ended", async ({ page, newVisitor, browserConsole }) => {
  browserConsole.allowStatus(401);
  const other = await newVisitor();
  await signIn(other, person.greta);
  const third = await newVisitor();
  await signIn(third, person.greta);
  await signIn(page, person.greta);
  await visit(page, "/w/globex/settings/account");

  const sessions = card(page, "Active Sessions");
  await expect(sessions.getByRole("listitem")).toHaveCount(3);
  await expect(sessions.getByText("This device")).toHaveCount(1);
  await expect(sessions.getByRole("listitem").first()).toContainText("Chrom");
  await press(page, sessions.getByRole("button", { name: "End Session" }).first());
  await expectSaid(page, "Session ended");
  await expect(sessions.getByRole("listitem")).toHaveCount(2);
  await press(page, sessions.getByRole("button", { name: "End All Other Sessions" }));
  await expectSaid(page, "Signed out of 1 other session");
  for (const gone of [other, third]) {
    await gone.goto("/w/globex/inbox");
    await expect(gone).toHaveURL(/\/login/);
  }
});

test("a changed password leaves the other tab signed in, and a stolen cookie dead", async ({ page, context, newVisitor, browserConsole }) => {
  browserConsole.allowStatus(401);
  await signIn(page, person.greta);
  const second = await context.newPage();
  await visit(second, "/w/globex/settings/members");
  const stolen = await context.cookies();
  await visit(page, "/w/globex/settings/account");
  await page.getByLabel("New Password").fill("seven purple bicycles");
  await page.getByLabel("Confirm Password").fill("seven purple bicycles");
  await press(page, page.getByRole("button", { name: "Update Password" }));
  await expectSaid(page, /^Password updated/);

  const thief = await newVisitor();
  await thief.context().addCookies(stolen);
  await thief.goto("/w/globex");
  await expect(thief).toHaveURL(/\/login/);

  // Longer than a tab takes to notice that its old token is dead.
  await second.waitForTimeout(3_000);
  await expect(second.getByRole("heading", { name: "Members", level: 1 })).toBeVisible();
  await press(second, second.getByRole("link", { name: "Inbox" }).first());
  await expect(second.getByRole("heading", { name: "Inbox", level: 1 })).toBeVisible();
});
