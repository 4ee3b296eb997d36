// What every test file imports: `test` with a server behind it, `expect`, people, and the few moves they all make.

import { test as base, expect, type BrowserContext, type Locator, type Page } from "@playwright/test";
import { Console } from "./console.ts";
import { password, type Person } from "./people.ts";
import { Server, type Environment } from "./server.ts";

export { expect, type Page } from "@playwright/test";
export { password, person, type Person } from "./people.ts";

/** The worker's one server at a time: a test of another file, or with other settings, gets a new one. */
class Servers {
  private current?: { key: string; server: Server };

  async for(file: string, environment: Environment): Promise<Server> {
    const key = JSON.stringify([file, environment]);
    if (this.current?.key !== key) {
      await this.stop();
      this.current = { key, server: await Server.start(environment) };
    }
    return this.current.server;
  }

  async stop(): Promise<void> {
    await this.current?.server.stop();
    this.current = undefined;
  }
}

type Fixtures = {
  /** More environment for the server: `test.use({ environment: { WHEELHOUSE_… } })` at the top of a file. */
  environment: Environment;
  /** The program, fresh for each file. */
  server: Server;
  /** Whether pages may run scripts: the one difference between the two projects. */
  scripts: boolean;
  /** The browser's console, of which every test expects silence. */
  browserConsole: Console;
  /** A page of somebody else, in a browser of their own: nothing is shared with `page`. */
  newVisitor: () => Promise<Page>;
};

export const test = base.extend<Fixtures, { servers: Servers }>({
  servers: [
    async ({}, use) => {
      const servers = new Servers();
      await use(servers);
      await servers.stop();
    },
    { scope: "worker" },
  ],

  environment: [{}, { option: true }],

  server: [
    async ({ servers, environment }, use, testInfo) => {
      const server = await servers.for(testInfo.file, environment);
      await use(server);
      if (testInfo.status !== testInfo.expectedStatus) {
        await testInfo.attach("server.log", { body: server.log(), contentType: "text/plain" });
      }
    },
    // The first test of a file waits for the server; that is not the test's own time.
    { timeout: 60_000 },
  ],

  baseURL: async ({ server }, use) => use(server.url),

  scripts: async ({ javaScriptEnabled }, use) => use(javaScriptEnabled ?? true),

  browserConsole: [
    async ({}, use) => {
      const browserConsole = new Console();
      await use(browserConsole);
      browserConsole.expectClean();
    },
    { auto: true },
  ],

  context: async ({ context, browserConsole }, use) => {
    browserConsole.watch(context);
    await use(context);
  },

  newVisitor: async ({ browser, browserConsole, contextOptions, baseURL, javaScriptEnabled, viewport, locale, timezoneId }, use) => {
    const contexts: BrowserContext[] = [];
    await use(async () => {
      const context = await browser.newContext({ ...contextOptions, baseURL, javaScriptEnabled, viewport, locale, timezoneId });
      contexts.push(context);
      browserConsole.watch(context);
      return context.newPage();
    });
    for (const context of contexts) await context.close();
  },
});

/** Waits until the client has taken over. Without scripts there is none, and the page is complete as it came. */
export async function hydrated(page: Page): Promise<void> {
  if (test.info().project.use.javaScriptEnabled === false) return;
  await expect(page.locator("html")).toHaveAttribute("data-hydrated", "true", { timeout: 10_000 });
}

/** Goes to an address and waits until the page is ready for a person. */
export async function visit(page: Page, address: string): Promise<void> {
  await page.goto(address);
  await hydrated(page);
}

/** Signs in at /login; ends on the overview of one of the person's workspaces. */
export async function signIn(page: Page, who: Pick<Person, "email">, secret = password): Promise<void> {
  await visit(page, "/login");
  await page.getByLabel("Email").fill(who.email);
  await page.getByLabel("Password", { exact: true }).fill(secret);
  await page.getByRole("button", { name: "Sign In" }).click();
  await page.waitForURL("**/w/*");
  await hydrated(page);
}

/** Signs out by the menu at the top; ends on /login. */
export async function signOut(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Account menu" }).click();
  await page.getByRole("button", { name: "Sign Out" }).click();
  await page.waitForURL("**/login*");
  await hydrated(page);
}

/** What the status region says, once it says it. */
export async function expectSaid(page: Page, text: string | RegExp): Promise<void> {
  await expect(page.getByRole("status")).toHaveText(text);
}

/** Presses a button, and waits until the page that follows is ready: without scripts each press loads one. */
export async function press(page: Page, button: Locator): Promise<void> {
  await button.click();
  await page.waitForLoadState();
}

/** The card with this heading. */
export function card(page: Page, title: string): Locator {
  return page.getByRole("region", { name: title, exact: true });
}

/** Goes where the newest mail to someone leads, as the demo's outbox shows it; waits for that mail. By its
 *  first link, or by the one of this name. */
export async function followMail(page: Page, to: string, subject: string | RegExp, link: string | RegExp = /./): Promise<void> {
  const letter = () => page.getByRole("article").filter({ hasText: `To ${to} ` }).filter({ has: page.getByRole("heading", { name: subject }) }).first();
  await expect(async () => {
    await page.goto("/outbox");
    await expect(letter()).toBeVisible({ timeout: 500 });
  }).toPass();
  await letter().getByRole("link", { name: link }).first().click();
  await page.waitForURL((url) => url.pathname !== "/outbox");
  await hydrated(page);
}
