import { defineConfig, devices } from "@playwright/test";

// Every test runs twice: as most people meet a page, and before or without its WASM. What can only be said of one of the
// two asks `test.skip(!scripts)`.

const reportForScripts = process.env.PLAYWRIGHT_JSON_OUTPUT_FILE;

export default defineConfig({
  testDir: "tests",
  // One file is one story told to one server, in order; other files run beside it.
  fullyParallel: false,
  workers: 2,
  // In bin/test alone: Chromium itself hangs now and then on two busy cores, closing a page. A test that passes the
  // second time is called flaky in the report, and is looked into.
  retries: reportForScripts ? 1 : 0,
  forbidOnly: !!process.env.CI,
  timeout: 30_000,
  expect: { timeout: 5_000 },
  reporter: reportForScripts ? [["list"], ["json"]] : [["list"]],
  use: {
    ...devices["Desktop Chrome"],
    viewport: { width: 1280, height: 800 },
    locale: "en-GB",
    timezoneId: "Europe/Berlin",
    screenshot: "only-on-failure",
    // A trace of every test takes a good part of the time of all: asked for when one is looked into.
    trace: process.env.WHEELHOUSE_TEST_TRACE ? "retain-on-failure" : "off",
    launchOptions: {
      // Debian's Chromium: Playwright's own browsers are never downloaded.
      executablePath: process.env.WHEELHOUSE_TEST_CHROMIUM || "/usr/bin/chromium",
      // Root has no sandbox in a container, and a closed network answers none of the browser's own questions.
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
  projects: [
    { name: "scripts-on" },
    { name: "scripts-off", use: { javaScriptEnabled: false } },
  ],
});
