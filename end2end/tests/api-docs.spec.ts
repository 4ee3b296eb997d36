// The API's documentation: complete without script, and with it each call can be tried.

import { expectAccessible } from "../support/axe.ts";
import { expect, test } from "../support/test.ts";

test("every call is described, with what it needs and an example", async ({ page, scripts }) => {
  await page.goto("/api/docs");
  await expect(page).toHaveTitle("Wheelhouse API");
  const contents = page.getByRole("navigation", { name: "Contents" });
  await contents.getByRole("link", { name: "Create a contact" }).click();
  await expect(page).toHaveURL(/#createContact$/);
  const article = page.getByRole("article").filter({ has: page.getByRole("heading", { name: "Create a contact" }) });
  await expect(article.getByText("contacts:write")).toBeVisible();
  await expect(article.getByText("curl http")).toBeVisible();
  await expect(article.getByRole("region", { name: "Body of createContact", exact: true })).toBeVisible();
  await expect(article.getByRole("button", { name: "Send" })).toBeVisible({ visible: scripts });
});

test("what a problem's type leads to is there", async ({ page }) => {
  await page.goto("/api/docs#problem-rate-limited");
  await expect(page.getByRole("heading", { name: "429 Too many requests" })).toBeInViewport();
});

test("a call is tried with one's own key, and its answer stands below", async ({ page, scripts, browserConsole }) => {
  test.skip(!scripts, "trying needs a script");
  browserConsole.allowStatus(401);
  await page.goto("/api/docs");
  const call = page.getByRole("form", { name: "Try getMe" });
  const answer = page.getByRole("status", { name: "Response to getMe" });
  await call.getByRole("button", { name: "Send" }).click();
  await expect(answer).toContainText("Paste an API key");
  await expect(page.getByLabel("API key", { exact: true })).toBeFocused();

  await page.getByLabel("API key", { exact: true }).fill("wh_live_nobody");
  await call.getByRole("button", { name: "Send" }).click();
  await expect(answer).toContainText("401");
  await expect(answer).toContainText("/api/docs#problem-unauthenticated");
});

for (const colorScheme of ["light", "dark"] as const) {
  for (const width of [360, 1280]) {
    test(`axe-core finds nothing: ${colorScheme}, ${width} pixels`, async ({ page, scripts }) => {
      test.skip(!scripts, "axe-core is itself a script");
      // By far the longest page there is, and axe-core looks at every element of it.
      test.slow();
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 900 });
      await page.goto("/api/docs");
      await expectAccessible(page);
      const sideways = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      expect(sideways, "pixels to scroll sideways").toBeLessThanOrEqual(0);
    });
  }
}
