// The event a handler is given, and the answer to a request. Not the provider's types: a handler
// names the few fields it needs.

import { Failure, reject } from "./failure.js";
import { parse } from "./json.js";
import { decode } from "./utf8.js";

/** One webhook whose signature the host verified, or an event that the host made. */
export class Event {
  #text;
  #json;

  constructor(fields) {
    this.id = fields.id;
    this.provider = fields.provider;
    this.kind = fields.kind;
    this.occurredAt = new Date(Number(fields.occurredAt));
    this.receivedAt = new Date(Number(fields.receivedAt));
    this.contentType = fields.contentType;
    this.body = fields.body;
    this.attributes = Object.fromEntries(fields.attributes);
    Object.freeze(this.attributes);
  }

  get account() {
    return this.attributes.account;
  }

  get livemode() {
    return { true: true, false: false }[this.attributes.livemode];
  }

  get apiVersion() {
    return this.attributes["api-version"];
  }

  /** The body as text. */
  text() {
    this.#text ??= decode(this.body);
    return this.#text;
  }

  /** The body as JSON. */
  json(check) {
    this.#json ??= { value: read(this.text(), `the body of \`${this.kind}\``) };
    return checked(this.#json.value, check, `the body of \`${this.kind}\``);
  }

  /** What the event is about: Stripe's `data.object`. */
  object(check) {
    const object = this.json()?.data?.object;
    if (typeof object !== "object" || object === null) {
      reject(`\`${this.kind}\` has no \`data.object\`; \`event.json()\` is the whole body`);
    }
    return checked(object, check, `\`data.object\` of \`${this.kind}\``);
  }

  /** What changed, with the values before: Stripe's `data.previous_attributes`. */
  previousAttributes(check) {
    const previous = this.json()?.data?.previous_attributes ?? undefined;
    if (previous === undefined) return undefined;
    return checked(previous, check, `\`data.previous_attributes\` of \`${this.kind}\``);
  }

  /** The answer that this event brings, undefined when it is none. */
  reply() {
    const status = Number.parseInt(this.attributes.status, 10);
    const effect = this.attributes["effect-id"];
    return Number.isNaN(status) || effect === undefined
      ? undefined
      : new Reply(this, status, effect);
  }
}

/** What a server answered, or that it never did: status 0, and the body says why. */
export class Reply {
  #event;

  constructor(event, status, effect) {
    this.#event = event;
    this.status = status;
    this.ok = status >= 200 && status < 300;
    this.effect = effect;
    this.body = event.body;
    const headers = Object.entries(event.attributes).filter(([name]) => name.startsWith("header-"));
    this.headers = Object.fromEntries(headers.map(([name, value]) => [name.slice(7), value]));
  }

  text() {
    return this.#event.text();
  }

  json(check) {
    return this.#event.json(check);
  }
}

function read(text, what) {
  try {
    return parse(text);
  } catch (error) {
    reject(`${what} is not JSON: ${error.message}`);
  }
}

/** What a check makes of a value. One that throws says that the event has another shape. */
function checked(value, check, what) {
  if (check === undefined) return value;
  try {
    return check(value);
  } catch (error) {
    if (error instanceof Failure) throw error;
    reject(`${what} is not as expected: ${error?.message ?? error}`);
  }
}
