// What a plugin's author sees of signalbox, for TypeScript and for editors.

import type { StripeEventType } from "./stripe.js";

export type { StripeEventType };

/** Milliseconds as a number, or text such as `"50ms"`, `"10s"`, `"5m"`, `"2h"`, `"7d"`. */
export type Duration = number | `${number}${"ms" | "s" | "m" | "h" | "d"}`;

/** Reads a value as a `T`, or throws: the `parse` of a schema library will do. */
export type Check<T> = (value: unknown) => T;

/** A type of event, or a pattern: `"customer.*"` is everything below, `"*"` everything. */
export type Kind<Provider> = Provider extends "stripe" ? StripeEventType | (string & {}) : string;

export interface PluginDescription {
  /** Lower-case kebab-case. The plugin's data belongs to it: it stays the same for ever. */
  name: string;
  /** Semantic version of the plugin. */
  version: string;
  /** One line for the operator. */
  description?: string;
  /** What the operator is to grant. A plugin whose requests are not all granted is not loaded. */
  requests?: {
    /** Requests to send: a method and a URL, `"POST https://hooks.example.com/*"`. */
    http?: string | string[];
    /** Types of events to emit: `"reminder.*"`. */
    emit?: string | string[];
    /** Objects to read from the mirror: `"stripe customer"`, or `"stripe *"`. */
    objects?: string | string[];
    /** Names of secrets that stand in headers as `{{secret:NAME}}`. */
    secrets?: string | string[];
  };
  /**
   * `"object"`, the default: events about the same object of the provider are handled one after
   * another, in the order of acceptance. The operator may set otherwise.
   */
  ordering?: "object" | "none";
  /** Most deliveries of this plugin at a time. */
  concurrency?: number;
  /** Limits tighter than the operator's; looser ones change nothing. */
  limits?: {
    /** Processor time of one delivery. */
    cpu?: Duration;
    /** Its time by the clock. */
    wall?: Duration;
    /** Its memory, `"32MiB"`. */
    memory?: string;
  };
}

export interface OnOptions<Provider extends string = string> {
  /**
   * Whose events: `"stripe"`, the default; another provider; the name of a plugin, this one
   * included, for what it emits; `"signalbox"` for what happens in the host.
   */
  provider?: Provider;
  /**
   * A CEL expression over `event` that must be true, `"event.data.object.amount > 100000"`. The
   * host evaluates it without starting the plugin.
   */
  filter?: string;
}

/** What a plugin is: give it functions with `on`, and export it as the module's default. */
export function plugin(description: PluginDescription): Plugin;

export class Plugin {
  private constructor();
  readonly name: string;
  readonly version: string;
  /**
   * Call a function with each event of these types. Those that take the same event run in order;
   * the first failure ends the run.
   *
   * The function returns nothing: an `async` one would stop at its first `await`, so it is refused.
   * (Of `void` alone the compiler would take any function; of this union it does not.)
   */
  on<const Provider extends string = "stripe">(
    kinds: Kind<Provider> | readonly Kind<Provider>[],
    run: (event: Event, delivery: Delivery) => void | undefined,
    options?: OnOptions<Provider>,
  ): this;
}

/** One attempt at handing an event to the plugin. */
export interface Delivery {
  /** The same for every attempt of this event at this plugin: derive idempotency keys from it. */
  readonly id: string;
  /** 1 for the first attempt. */
  readonly attempt: number;
  /** Whether an operator replays an event that had been settled. */
  readonly replay: boolean;
}

/** One webhook whose signature the host verified, or an event that the host made. */
export class Event {
  private constructor();
  /** The provider's identifier, `evt_1Nx...`. */
  readonly id: string;
  /** Who sent it. */
  readonly provider: string;
  /** The provider's event type, `charge.succeeded`. */
  readonly kind: string;
  /** When the provider says it happened; Stripe's times have a resolution of one second. */
  readonly occurredAt: Date;
  /** When the host accepted it. */
  readonly receivedAt: Date;
  /** Media type of the body. */
  readonly contentType: string;
  /** The very bytes: those the signature covers, or what was emitted or answered. */
  readonly body: Uint8Array;
  /** Facts that not every provider has, `request-id`. */
  readonly attributes: Readonly<Record<string, string | undefined>>;
  /** The connected account it belongs to. */
  readonly account: string | undefined;
  /** Whether it is about real money; undefined where the provider has no such notion. */
  readonly livemode: boolean | undefined;
  /** The version of the provider's API that shaped the body. */
  readonly apiVersion: string | undefined;
  /** The body as text. */
  text(): string;
  /**
   * The body as JSON. A whole number beyond 2^53 is a BigInt. A body that is not JSON, or that the
   * check refuses, rejects the event.
   */
  json<T = any>(check?: Check<T>): T;
  /**
   * What the event is about: Stripe's `data.object`. Without a check the type is a promise of
   * yours; with one, an object of another shape rejects the event.
   */
  object<T = any>(check?: Check<T>): T;
  /** What changed, with the values before: Stripe's `data.previous_attributes`. */
  previousAttributes<T = any>(check?: Check<T>): T | undefined;
  /** The answer that this event brings, undefined when it is none. */
  reply(): Reply | undefined;
}

/** The answer to a request that asked for one with `replyAs`. */
export class Reply {
  private constructor();
  /** The status; 0 when the host gave the request up, and the body says why. */
  readonly status: number;
  /** Whether the status is one of success. */
  readonly ok: boolean;
  /** Which effect was answered: what `outbox.post` returned. */
  readonly effect: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Uint8Array;
  text(): string;
  json<T = any>(check?: Check<T>): T;
}

/** What `retry` and `reject` throw. */
export class Failure extends Error {
  private constructor();
  readonly verdict: "retry" | "reject";
  readonly reason: string;
  /** Milliseconds. */
  readonly after: number | undefined;
}

/**
 * Throws: the event is delivered again, no earlier than `after` from now. The host keeps the wish
 * within its own bounds, and follows its backoff when there is none.
 */
export function retry(reason: string, options?: { after?: Duration }): never;

/** Throws: the event is given up. An operator can replay it. */
export function reject(reason: string): never;

/** A call on the plugin's state that did not succeed. Uncaught, it asks for another attempt. */
export class KvError extends Error {
  private constructor();
  readonly code: "key-size" | "value-size" | "quota" | "operations" | "shape" | "overflow";
  readonly key: string;
}

/** What the outbox or the mirror refuses. Uncaught, it asks for another attempt. */
export class Refused extends Error {
  private constructor();
  readonly code: "not-granted" | "invalid" | "quota" | "operations";
  /** The grant that is missing, or the mistake. */
  readonly detail: string;
}

/** The plugin's durable state: what a run writes is committed with its success, or not at all. */
export namespace kv {
  /** The value under the key, undefined when there is none. */
  function get<T = any>(key: string): T | undefined;
  /** Put a value, as JSON. BigInts are written as digits, and read back as BigInts. */
  function set(key: string, value: {} | null): void;
  /** The text under the key, as it is. */
  function getText(key: string): string | undefined;
  function setText(key: string, text: string): void;
  function getBytes(key: string): Uint8Array | undefined;
  function setBytes(key: string, bytes: Uint8Array): void;
  function remove(key: string): void;
  /** Remove the key. Removing an absent one is no error. */
  export { remove as delete };
  /** The keys that start with the prefix, in order, fetched page by page. */
  function keys(prefix?: string): Generator<string, void>;
  /** A whole number that counts each event once, however often it is attempted. */
  function counter(key: string): Counter;
  export { get, set, getText, setText, getBytes, setBytes, keys, counter };
  export interface Counter {
    /** What it stands at; 0 until it is first added to. */
    get(): number;
    /** Add to it, 1 unless told, and say what it stands at then. */
    add(n?: number): number;
  }
}

/** Log records, shown to the operator with the delivery. `console` writes them too. */
export namespace log {
  type Level = "trace" | "debug" | "info" | "warn" | "error";
  /** Names and values to search for. */
  type Attributes = Record<string, unknown>;
  function write(level: Level, message: unknown, attributes?: Attributes): void;
  function trace(message: unknown, attributes?: Attributes): void;
  function debug(message: unknown, attributes?: Attributes): void;
  function info(message: unknown, attributes?: Attributes): void;
  function warn(message: unknown, attributes?: Attributes): void;
  function error(message: unknown, attributes?: Attributes): void;
}

/** The settings the operator gave this plugin. Secrets never enter a plugin. */
export namespace config {
  /** One setting, undefined when the operator did not set it. */
  function get(key: string): string | undefined;
  /** One setting; without it the event is retried: the operator can mend that. */
  function required(key: string): string;
  /** One setting as a number; one that is none is retried. */
  function number(key: string): number | undefined;
  /** Every setting. */
  function all(): Record<string, string>;
}

/** The host's mirror of the provider's objects: what its events showed of them, read-only. */
export namespace objects {
  interface MirroredObject<T> {
    readonly id: string;
    /** The provider's name for the type, `customer`. */
    readonly kind: string;
    /** When the event happened that this state came from. */
    readonly asOf: Date;
    /** That event; empty for a state that was fetched. */
    readonly eventId: string;
    /** Whether the provider said that it is gone; `body` is then its last state. */
    readonly deleted: boolean;
    readonly body: T;
  }
  /** An object as the events left it, undefined when none has shown it. */
  function get<T = any>(
    kind: string,
    id: string,
    options?: { provider?: string },
  ): MirroredObject<T> | undefined;
}

/** Effects on the world, performed by the host after the run has committed. */
export namespace outbox {
  interface Options {
    /** Names and values; `{{secret:NAME}}` in a value is filled in as the request is sent. */
    headers?: Record<string, string> | [name: string, value: string][];
    /** Sent no earlier than this after the commit, at most 400 days. */
    after?: Duration;
    /** Bring the answer back as an event of this type, whose provider is the plugin. */
    replyAs?: string;
  }
  type Body =
    | { /** A body as JSON. */ json?: unknown; body?: never; contentType?: string }
    | { json?: never; /** A body as it is. */ body?: string | Uint8Array; contentType?: string };
  /** Ask for a request; answers the effect's identifier. */
  function request(method: string, url: string, options?: Options & Body): string;
  function get(url: string, options?: Options): string;
  function post(url: string, options?: Options & Body): string;
  function put(url: string, options?: Options & Body): string;
  function patch(url: string, options?: Options & Body): string;
  function remove(url: string, options?: Options & Body): string;
  export { remove as delete };
  /** Publish an event of this plugin's own; its body is the value as JSON. */
  function emit(kind: string, value: {} | null, options?: { after?: Duration }): string;
  /** As `emit`, with a body of any media type. */
  function emitRaw(
    kind: string,
    contentType: string,
    body: string | Uint8Array,
    options?: { after?: Duration },
  ): string;
  /** Withdraw what an earlier delivery asked for; false when it is too late. */
  function cancel(effect: string): boolean;
  export { request, get, post, put, patch, emit, emitRaw, cancel, type Options, type Body };
}

/** Durable timers: events that the plugin emits to itself, later. */
export namespace timer {
  /** Deliver an event of this type to the plugin; answers an identifier to cancel it by. */
  function set(kind: string, value: {} | null, after: Duration): string;
  /** Withdraw a timer that an earlier delivery set; false when it has fired or was withdrawn. */
  function cancel(timer: string): boolean;
}

/** JSON that keeps whole numbers beyond 2^53, as BigInts. */
export namespace json {
  function parse<T = any>(text: string): T;
  function stringify(value: unknown): string | undefined;
}
