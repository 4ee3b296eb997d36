// Refusals as the server writes them (postcard behind the mark of the build), for what no clock or second person can
// bring about in a test.

import type { Page } from "@playwright/test";

/** Where an error stands in `AppError`. */
const INVALID = 4;
const CONFLICT = 5;

const text = (value: string) => [Buffer.from([value.length]), Buffer.from(value)];

/** The first eight characters of any answer of this build. */
async function mark(page: Page): Promise<Buffer> {
  const answer = await page.evaluate(async () => {
    const asked = await fetch("/fn/load_first_path", {
      method: "POST",
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
    });
    return [...new Uint8Array(await asked.arrayBuffer())];
  });
  return Buffer.from(answer.slice(0, 8));
}

export async function invalid(page: Page, field: string, message: string): Promise<Buffer> {
  return Buffer.concat([await mark(page), Buffer.from([INVALID, 1]), ...text(field), ...text(message)]);
}

export async function conflict(page: Page, message: string): Promise<Buffer> {
  return Buffer.concat([await mark(page), Buffer.from([CONFLICT]), ...text(message)]);
}
