// One real program, with a database of its own, started for a test file and stopped after it.

import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

const ROOT = path.resolve(import.meta.dirname, "../..");
const BINARY = process.env.WHEELHOUSE_TEST_BINARY || path.join(ROOT, "target/release/wheelhouse");
const PYTHON = path.join(ROOT, ".tools/python/bin/python");
const READY_WITHIN_MS = 30_000;
const STOP_WITHIN_MS = 5_000;

export type Environment = Record<string, string>;

// Whatever happens to this process, no server outlives it.
const running = new Set<ChildProcess>();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

export class Server {
  private constructor(
    readonly url: string,
    private readonly child: ChildProcess,
    private readonly folder: string,
    private readonly lines: string[],
  ) {}

  static async start(environment: Environment = {}): Promise<Server> {
    if (!existsSync(BINARY)) throw new Error(`There is no ${BINARY}: build it first, with bin/test wasm`);
    // The port may be taken between asking for it and using it: then ask again.
    for (let attempt = 1; ; attempt++) {
      const server = await Server.spawn(environment);
      try {
        await server.ready();
        return server;
      } catch (error) {
        await server.stop();
        if (attempt === 3 || !/address (already )?in use/i.test(server.log())) throw error;
      }
    }
  }

  private static async spawn(environment: Environment): Promise<Server> {
    const address = `127.0.0.1:${await freePort()}`;
    const folder = mkdtempSync(path.join(tmpdir(), "wheelhouse-e2e-"));
    const child = spawn(BINARY, ["serve", "--demo"], {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
      // Nothing of the caller's own settings: the same server on every machine.
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        RUST_BACKTRACE: "1",
        LEPTOS_OUTPUT_NAME: "wheelhouse",
        LEPTOS_SITE_ROOT: path.join(ROOT, "target/site"),
        LEPTOS_HASH_FILES: "true",
        LEPTOS_ENV: "PROD",
        WHEELHOUSE_ADDR: address,
        WHEELHOUSE_PUBLIC_URL: `http://${address}`,
        WHEELHOUSE_DATABASE_URL: `sqlite://${folder}/wheelhouse.db`,
        WHEELHOUSE_RATE_LIMIT: "off",
        ...environment,
      },
    });
    running.add(child);
    const lines: string[] = [];
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding("utf8").on("data", (text: string) => lines.push(text));
    }
    child.on("error", (error) => lines.push(`${error}\n`));
    child.on("exit", () => running.delete(child));
    return new Server(`http://${address}`, child, folder, lines);
  }

  private async ready(): Promise<void> {
    const deadline = Date.now() + READY_WITHIN_MS;
    while (Date.now() < deadline) {
      if (this.child.exitCode !== null || this.child.signalCode) {
        throw new Error(`The server stopped before it was ready:\n${this.log()}`);
      }
      const answer = await fetch(`${this.url}/readyz`).catch(() => undefined);
      if (answer?.ok) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`The server was not ready within ${READY_WITHIN_MS / 1000} s:\n${this.log()}`);
  }

  /** A catalogue like the built-in one, whose plans have room for everybody whom tests invite. */
  static roomyCatalog(): string {
    const built = readFileSync(path.join(ROOT, "crates/domain/src/catalog/catalog.toml"), "utf8");
    const file = path.join(mkdtempSync(path.join(tmpdir(), "wheelhouse-catalog-")), "catalog.toml");
    writeFileSync(file, built.replace(/^seats = \d+$/gm, "seats = 500"));
    return file;
  }

  /** Lets so many days pass for every subscription, by moving what stands in the database back: no test waits a week. */
  letDaysPass(days: number): void {
    const code = [
      "import sqlite3, sys",
      "db = sqlite3.connect(sys.argv[1], timeout=10)",
      "ms = int(sys.argv[2]) * 86400000",
      "columns = ['billing_cycle_anchor', 'begins_at', 'ends_at', 'freezes_at', 'due_at']",
      "db.execute('UPDATE subscriptions SET ' + ', '.join(f'{c} = {c} - {ms}' for c in columns))",
      "db.commit()",
    ].join("\n");
    execFileSync(PYTHON, ["-c", code, path.join(this.folder, "wheelhouse.db"), String(days)]);
  }

  /** Makes a key of a workspace, as an operator does. */
  makeKey(workspace: string): string {
    const printed = execFileSync(BINARY, ["create-key", "--workspace", workspace, "--name", "End to end"], {
      cwd: this.folder,
      encoding: "utf8",
      env: { PATH: process.env.PATH, HOME: this.folder, WHEELHOUSE_DATABASE_URL: `sqlite://${this.folder}/wheelhouse.db` },
    });
    return printed.trim().split("\n").at(-1)!.trim();
  }

  /** What the server has said so far. */
  log(): string {
    return this.lines.join("");
  }

  async stop(): Promise<void> {
    if (this.child.pid && this.child.exitCode === null && !this.child.signalCode) {
      const exit = once(this.child, "exit");
      this.child.kill("SIGTERM");
      const impatience = setTimeout(() => this.child.kill("SIGKILL"), STOP_WITHIN_MS);
      await exit;
      clearTimeout(impatience);
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  return port;
}
