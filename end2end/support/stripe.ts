// What stands for Stripe in the browser: Checkout and the portal as pages of another site, charges, and signed events.
// What Stripe's API does beyond that is tested in server/tests/it/stripe/.

import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

const KEY = "sk_test_end_to_end";
const HOOK = "whsec_end_to_end";

type Session = { id: string; fields: URLSearchParams; paid: boolean };

export class Stripe {
  private readonly sessions = new Map<string, Session>();
  /** Cents of every charge of a kept card. */
  readonly charges: number[] = [];
  private made = 0;

  private constructor(readonly url: string) {}

  static async start(): Promise<Stripe> {
    const server = createServer((request, response) => {
      stripe.answer(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    // No test waits for it to end.
    server.unref();
    const stripe: Stripe = new Stripe(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    return stripe;
  }

  /** What the server is started with. */
  get environment(): Record<string, string> {
    return {
      WHEELHOUSE_STRIPE_SECRET_KEY: KEY,
      WHEELHOUSE_STRIPE_WEBHOOK_SECRET: HOOK,
      WHEELHOUSE_STRIPE_API_BASE: this.url,
    };
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", this.url);
    let body = "";
    for await (const part of request) body += String(part);
    const id = url.pathname.split("/").at(-1)!;
    const session = this.sessions.get(id);
    if (url.pathname.startsWith("/c/pay/") && session) {
      if (request.method === "POST") return this.pay(session, response);
      response.writeHead(200, { "content-type": "text/html" });
      response.end(`<title>Checkout</title><h1>Pay $${Number(session.fields.get("line_items[0][price_data][unit_amount]")) / 100}</h1>
        <form method="post"><button>Pay</button></form><a href="${session.fields.get("cancel_url")}">Back</a>`);
      return;
    }
    if (url.pathname.startsWith("/p/session/")) {
      response.writeHead(200, { "content-type": "text/html" });
      response.end(`<title>Portal</title><h1>Payment methods</h1><a href="${url.searchParams.get("back")}">Return</a>`);
      return;
    }
    if (url.pathname === "/favicon.ico") return void response.writeHead(204).end();
    if (request.headers.authorization !== `Bearer ${KEY}`) return void response.writeHead(401).end("{}");
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(this.call(request.method ?? "GET", url.pathname, new URLSearchParams(body), session)));
  }

  private call(method: string, path: string, fields: URLSearchParams, session?: Session): unknown {
    if (session) return this.shown(session);
    if (method === "POST" && path === "/v1/checkout/sessions") {
      const made = { id: `cs_${++this.made}`, fields, paid: false };
      this.sessions.set(made.id, made);
      return this.shown(made);
    }
    if (path === "/v1/billing_portal/sessions") {
      return { url: `${this.url}/p/session/1?back=${encodeURIComponent(fields.get("return_url") ?? "")}` };
    }
    if (method === "POST" && path === "/v1/payment_intents") {
      this.charges.push(Number(fields.get("amount")));
      return { id: `pi_${++this.made}`, status: "succeeded", amount_received: Number(fields.get("amount")) };
    }
    if (path.startsWith("/v1/customers")) {
      return { id: `cus_${++this.made}`, invoice_settings: { default_payment_method: "pm_1" } };
    }
    return { data: [], has_more: false };
  }

  private shown({ id, fields, paid }: Session): unknown {
    return {
      id,
      url: `${this.url}/c/pay/${id}`,
      status: paid ? "complete" : "open",
      payment_status: paid ? "paid" : "unpaid",
      amount_total: Number(fields.get("line_items[0][price_data][unit_amount]")),
      currency: "usd",
      client_reference_id: fields.get("client_reference_id"),
      payment_intent: paid ? { id: `pi_of_${id}`, status: "succeeded", payment_method: "pm_1" } : null,
    };
  }

  /** Tells of it, signed, and then leads back. */
  private async pay(session: Session, response: ServerResponse): Promise<void> {
    session.paid = true;
    const back = session.fields.get("success_url")!;
    const object = { ...(this.shown(session) as object), payment_intent: `pi_of_${session.id}` };
    const event = { id: `evt_${++this.made}`, object: "event", type: "checkout.session.completed", data: { object } };
    const body = JSON.stringify(event);
    const second = Math.floor(Date.now() / 1000);
    const tag = createHmac("sha256", HOOK).update(`${second}.${body}`).digest("hex");
    const told = await fetch(new URL("/stripe/webhook", back), {
      method: "POST",
      headers: { "content-type": "application/json", "stripe-signature": `t=${second},v1=${tag}` },
      body,
    });
    if (!told.ok) throw new Error(`the event was answered ${told.status}`);
    response.writeHead(303, { location: back }).end();
  }
}
