// A page that logs an error is broken, even where it looks right. So every test fails on one, unless it said before that
// the error is part of its story.

import { expect, type BrowserContext } from "@playwright/test";

export class Console {
  private readonly errors: string[] = [];
  private readonly allowed: RegExp[] = [];

  /** These statuses are part of the story: the browser logs each one as an error. */
  allowStatus(...statuses: number[]): void {
    for (const status of statuses) this.allowed.push(new RegExp(`the server responded with a status of ${status}\\b`));
  }

  /** This message is part of the story. */
  allowMessage(pattern: RegExp): void {
    this.allowed.push(pattern);
  }

  /** Listens to all pages of a context, those still to come included. */
  watch(context: BrowserContext): void {
    context.on("console", (message) => {
      if (message.type() !== "error") return;
      this.errors.push(`${message.text()} (at ${message.location().url}, on ${message.page()?.url()})`);
    });
    context.on("weberror", (error) => this.errors.push(`uncaught: ${error.error().stack ?? error.error()}`));
  }

  /** Nothing was logged but what was allowed. What the content security policy stopped is never allowed. */
  expectClean(): void {
    const unexpected = this.errors.filter(
      (error) => /content security policy/i.test(error) || !this.allowed.some((pattern) => pattern.test(error)),
    );
    expect(unexpected, "errors in the browser's console").toEqual([]);
  }
}
