// Events for tests, read as the host reads them. Not the host's own parser, which also verifies
// signatures and refuses more.

import { readFileSync } from "node:fs";

import { Event } from "../event.js";
import { parse, stringify } from "../json.js";
import { bytesOf, decode } from "../utf8.js";

const CREATED = 1_795_400_000;

/** The event a Stripe webhook with this body becomes: the envelope, as text, bytes or an object. */
export function event(body) {
  const plain = typeof body === "object" && !(body instanceof Uint8Array);
  const bytes = bytesOf(plain ? stringify(body) : body, "the body of an event");
  const envelope = parse(decode(bytes));
  if (typeof envelope?.id !== "string" || typeof envelope.type !== "string") {
    throw new TypeError("the body of a Stripe event is JSON with an `id` and a `type`");
  }
  const { id, type, created, livemode, account, api_version, request } = envelope;
  const attributes = {
    livemode,
    account,
    "api-version": api_version,
    "request-id": typeof request === "object" ? request?.id : request,
  };
  const at = Number.isInteger(created) ? created * 1_000 : 0;
  return raw("stripe", type, bytes, { id, attributes, at });
}

/** A Stripe event of this type about this object, in test mode. */
export function stripe(kind, object, { id = "evt_test", previous, ...fields } = {}) {
  const data = previous === undefined ? { object } : { object, previous_attributes: previous };
  return event({
    id,
    object: "event",
    api_version: "2026-10-28.endive",
    created: CREATED,
    livemode: false,
    pending_webhooks: 1,
    request: { id: null, idempotency_key: null },
    type: kind,
    data,
    ...fields,
  });
}

/** The event in a file: the body of a Stripe webhook. */
export function fixture(path) {
  return event(new Uint8Array(readFileSync(path)));
}

/** An event of signalbox's own, such as `signalbox.delivery.dead`, about this object. */
export function signalbox(kind, object, { id = "evt_test" } = {}) {
  const body = { id, object: "event", type: kind, created: CREATED, data: { object } };
  return raw("signalbox", kind, stringify(body), { id });
}

/** An event of any provider, with any body. */
export function raw(provider, kind, body, options = {}) {
  const { id = "evt_test", contentType = "application/json", attributes = {}, at = 0 } = options;
  return new Event({
    id,
    provider,
    kind,
    occurredAt: at,
    receivedAt: at,
    contentType,
    body: bytesOf(body, "the body of an event"),
    attributes: Object.entries(attributes)
      .filter(([, value]) => value !== undefined && value !== null)
      .map(([name, value]) => [name, String(value)]),
  });
}
