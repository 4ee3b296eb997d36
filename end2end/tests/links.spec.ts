// Every link of every page, as each role: clicked with scripts on it shows what its address shows when it is loaded.

import { person, press, signIn, expect, hydrated, test, visit, type Page } from "../support/test.ts";
import { Server } from "../support/server.ts";

test.skip(({ scripts }) => !scripts, "without scripts every click loads");
test.describe.configure({ mode: "parallel" });
test.use({ environment: { WHEELHOUSE_CATALOG: Server.roomyCatalog() } });

/** How long a page may take to be shown after a click. */
const SHOWN_WITHIN_MS = 5_000;
/** Of pages that differ only by an id (a key, a webhook, a page of a list) so many are gone to, by so many links each. */
const ALIKE = 2;

/** What tells one page from another. */
type Shown = { address: string; title: string; heading: string; current: string };
type Link = { href: string; address: string; inMain: boolean; loads: boolean };

/** Reads it from a document: the one that is shown, or one that was loaded. Runs in the browser. */
function read({ html, address }: { html?: string; address?: string }): Shown {
  const doc = html === undefined ? document : new DOMParser().parseFromString(html, "text/html");
  const text = (node: Element | null) => (node?.textContent ?? "").replace(/\s+/g, " ").trim();
  const marked = [...doc.querySelectorAll("nav [aria-current]")].map((link) => text(link).replace(/\d+$/, "").trim());
  return {
    address: address ?? location.pathname + location.search,
    title: doc.title,
    heading: text(doc.querySelector("main h1")),
    current: marked.join(", "),
  };
}

/** Every link to a page of ours. A place on the same page is none. */
function links(): Link[] {
  return [...document.querySelectorAll<HTMLAnchorElement>("a[href]")]
    .filter((link) => link.origin === location.origin && !link.getAttribute("href")!.startsWith("#"))
    .map((link) => ({
      href: link.getAttribute("href")!,
      address: link.pathname + link.search,
      inMain: link.closest("main") !== null,
      loads: link.rel === "external" || link.hasAttribute("download"),
    }));
}

const pattern = (address: string) =>
  address
    .replace(/[a-z]+_[0-9a-z]{26}/g, "{id}")
    .replace(/\/(invite|reset-password|confirm-email|unsubscribe|pay)\/.+/, "/$1/{token}")
    .replace(/\/invoices\/\d+/, "/invoices/{number}");

class Crawl {
  private readonly loaded = new Map<string, Shown>();
  private readonly seen = new Map<string, number>();
  readonly wrong: string[] = [];
  clicks = 0;

  constructor(private readonly page: Page) {}

  /** What is shown when this address is loaded. */
  private async load(address: string): Promise<Shown> {
    const known = this.loaded.get(address);
    if (known) return known;
    const answer = await this.page.request.get(address, { headers: { accept: "text/html" } });
    const url = new URL(answer.url());
    const shown = await this.page.evaluate(read, { html: await answer.text(), address: url.pathname + url.search });
    // Where an address leads on to may change: `/` shows the workspace that was open last.
    if (shown.address === address) this.loaded.set(address, shown);
    return shown;
  }

  /** Waits until this is shown; says what is shown instead. */
  private async shows(wanted: Shown): Promise<Shown | undefined> {
    const deadline = Date.now() + SHOWN_WITHIN_MS;
    for (;;) {
      // While a page is being loaded there is nothing to ask.
      const shown = await this.page.evaluate(read, {}).catch(() => undefined);
      if (shown && JSON.stringify(shown) === JSON.stringify(wanted)) return undefined;
      if (Date.now() > deadline) return shown ?? { address: "", title: "", heading: "", current: "" };
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  private isNew(address: string): boolean {
    const alike = this.seen.get(pattern(address)) ?? 0;
    this.seen.set(pattern(address), alike + 1);
    return alike < ALIKE;
  }

  async from(seeds: string[]): Promise<void> {
    const queue = seeds.filter((seed) => this.isNew(seed));
    const frames = new Set<string>();
    for (let address = queue.shift(); address !== undefined; address = queue.shift()) {
      await this.page.goto(address);
      await hydrated(this.page);
      const here = await this.load(address);
      const instead = await this.shows(here);
      if (instead) this.wrong.push(`${address}: ${JSON.stringify(here)} once loaded, then ${JSON.stringify(instead)}`);

      // The navigation is the same around every filter of a page.
      const frame = pattern(here.address.split("?")[0]!);
      const isFirst = !frames.has(frame);
      frames.add(frame);
      const tried = new Map<string, number>();
      for (const link of await this.page.evaluate(links)) {
        const alike = tried.get(pattern(link.address)) ?? 0;
        if (alike >= ALIKE || (alike > 0 && pattern(link.address) === link.address)) continue;
        tried.set(pattern(link.address), alike + 1);
        if (link.loads) {
          const answer = await this.page.request.get(link.address);
          // Mail may lead to what somebody else may see.
          if (answer.status() >= 500) this.wrong.push(`${address}: ${link.href} answers ${answer.status()}`);
          continue;
        }
        // Another workspace has the same pages: the links that lead there are clicked, and not gone on from.
        const elsewhere = /^\/w\/(?!acme\b)/.test(link.address);
        if (!elsewhere && !seeds.includes(link.address) && this.isNew(link.address)) queue.push(link.address);
        if ((link.inMain || isFirst) && link.address !== here.address) await this.click(address, here, link);
      }
    }
  }

  private async click(from: string, here: Shown, link: Link): Promise<void> {
    const wanted = await this.load(link.address);
    const isThere = await this.page.evaluate((href) => {
      const found = document.querySelector<HTMLAnchorElement>(`a[href="${CSS.escape(href)}"]:not([rel=external])`);
      found?.click();
      return found !== null;
    }, link.href);
    // The page has followed something since its links were read.
    if (!isThere) return;
    this.clicks++;
    const instead = await this.shows(wanted);
    if (instead) {
      this.wrong.push(`${from}: ${link.href} shows ${JSON.stringify(instead)}, loaded ${JSON.stringify(wanted)}`);
      await this.page.goto(from);
      await hydrated(this.page);
      return;
    }
    await this.page.goBack({ waitUntil: "commit" });
    const back = await this.shows(here);
    if (back) {
      this.wrong.push(`${from}: Back from ${link.href} shows ${JSON.stringify(back)}, loaded ${JSON.stringify(here)}`);
      await this.page.goto(from);
      await hydrated(this.page);
    }
  }
}

const OUTSIDE = ["/login", "/signup", "/forgot-password", "/reset-password/none", "/confirm-email/none", "/invite/none", "/unsubscribe/none", "/pay/none", "/no/such/page", "/w/acme/settings/nowhere", "/outbox"];

/** Invites somebody, and gives the invitation's link. */
async function invited(page: Page, email: string): Promise<string> {
  await visit(page, "/w/acme/settings/members");
  await page.getByLabel("Email Address").fill(email);
  await press(page, page.getByRole("button", { name: "Send Invitation" }));
  const row = page.getByRole("row").filter({ has: page.getByRole("rowheader", { name: email }) });
  await expect(row).toBeVisible();
  return new URL((await row.locator("input[readonly]").getAttribute("value"))!).pathname;
}

test("signed out, every link shows what its address shows", async ({ page, newVisitor, browserConsole }) => {
  test.setTimeout(120_000);
  browserConsole.allowStatus(401, 403, 404);
  const owner = await newVisitor();
  await signIn(owner, person.olivia);
  const [known, unknown] = [await invited(owner, person.greta.email), await invited(owner, "new@acme.example")];
  const crawl = new Crawl(page);
  await page.goto("/login");
  await crawl.from([...OUTSIDE, known, unknown, "/w/acme/settings/members?status=expired"]);
  expect(crawl.wrong).toEqual([]);
  expect(crawl.clicks).toBeGreaterThan(20);
});

for (const [role, who, least] of [
  ["an owner", person.olivia, 250],
  ["an admin", person.adam, 250],
  ["a member", person.mia, 60],
  ["a client", person.cleo, 40],
] as const) {
  test(`as ${role}, every link shows what its address shows`, async ({ page, browserConsole }) => {
    // Some 300 clicks, of which each waits for a page: minutes, where the machine has two cores and other tests.
    test.setTimeout(480_000);
    browserConsole.allowStatus(401, 403, 404);
    await signIn(page, who);
    const crawl = new Crawl(page);
    await crawl.from(["/w/acme", "/no/such/page", "/w/acme/settings/nowhere", "/w/globex/settings/members", "/invite/none", "/reset-password/none", "/unsubscribe/none", "/new"]);
    expect(crawl.wrong).toEqual([]);
    expect(crawl.clicks).toBeGreaterThan(least);
  });
}

test("someone who has an account accepts an invitation on the way, with nothing loaded anew by hand", async ({ page, newVisitor }) => {
  const owner = await newVisitor();
  await signIn(owner, person.olivia);
  const link = await invited(owner, person.greta.email);
  await visit(page, link);
  await page.getByRole("link", { name: "Sign In" }).click();
  await expect(page.getByRole("heading", { name: "Sign In" })).toBeVisible();
  await expect(page).toHaveTitle(/^Sign In/);
  await page.getByLabel("Email").fill(person.greta.email);
  await page.getByLabel("Password").fill("correct horse battery staple");
  await page.getByRole("button", { name: "Sign In" }).click();
  await page.getByRole("button", { name: "Accept Invitation" }).click();
  await page.waitForURL("**/w/acme");
});

test("what was typed on one page on the way in is not on the next", async ({ page }) => {
  await visit(page, "/login");
  await page.getByLabel("Email").fill("typed@here.example");
  await page.getByRole("link", { name: "Forgot your password?" }).click();
  await expect(page.getByRole("heading", { name: "Forgot your password?" })).toBeVisible();
  await expect(page.getByLabel("Email")).toHaveValue("");
  await page.getByRole("link", { name: "Back to sign in" }).click();
  await expect(page.getByRole("main")).toBeFocused();
  await page.getByRole("link", { name: "Create an account" }).click();
  await expect(page.getByLabel("Workspace Name")).toBeVisible();
});
