// The host for tests: handlers run natively, in `node --test` or any other runner.

import type { Event, Plugin } from "./index.js";
import type { StripeEventType } from "./stripe.js";

export interface Limits {
  kvOperations: number;
  kvValue: number;
  kvWrites: number;
  kvQuota: number;
  objectReads: number;
  objectBytes: number;
  effects: number;
  effectBytes: number;
  logRecords: number;
}

/** The real host's defaults. */
export const LIMITS: Readonly<Limits>;

export class Host {
  constructor(options?: {
    /** The operator's settings. */
    settings?: Record<string, string | number>;
    /** Other limits than the real host's defaults. */
    limits?: Partial<Limits>;
    /** `false`: whatever is asked of the outbox or the mirror is refused. */
    granted?: boolean;
  });
  /** Put an object into the mirror. */
  withObject(
    kind: string,
    id: string,
    body: unknown,
    options?: { provider?: string; deleted?: boolean; asOf?: Date | number; eventId?: string },
  ): this;
  /** Deliver an event to the whole plugin. */
  deliver(plugin: Plugin, event: Event, options?: { attempt?: number; replay?: boolean }): Run;
  /** Run any code that calls the SDK as a delivery of its own. Its errors are the test's. */
  run<T>(code: () => T): Run<T>;
  /** The value that is kept under a key. */
  get<T = any>(key: string): T | undefined;
  getText(key: string): string | undefined;
  /** Keep a value under a key, as if an earlier run had. */
  set(key: string, value: {} | null): this;
  /** Every key that is kept. */
  keys(): string[];
  /** Everything that committed runs asked for, in order. */
  readonly effects: Effect[];
  /** Of those, what waits: neither performed nor withdrawn. */
  readonly waiting: Effect[];
  /** A timer or another event of the plugin's own is due: deliver it to the plugin. */
  fire(plugin: Plugin, effect: Effect | string): Run;
  /** A request was answered: deliver the answer to the plugin. Status 0: the host gave it up. */
  reply(
    plugin: Plugin,
    effect: Effect | string,
    answer?: { status?: number; headers?: Record<string, string>; body?: string | Uint8Array },
  ): Run;
}

/** How one run ended. */
export class Run<T = unknown> {
  private constructor();
  readonly outcome: "ok" | "retry" | "reject" | "not-subscribed";
  /** Of a retry or a reject. */
  readonly reason: string | undefined;
  /** Of a retry, in milliseconds. */
  readonly after: number | undefined;
  /** What the code of `run` returned. */
  readonly value: T;
  readonly logs: LogRecord[];
  /** How many records were over the limit. */
  readonly logsDropped: number;
  /** What it asked the outbox for; empty unless it succeeded. */
  readonly effects: Effect[];
  /** Go on only after this end; fails the test otherwise, saying how it ended. */
  expectOk(): this;
  expectRetry(): this;
  expectReject(): this;
  /** Whether some record's text holds this. */
  logged(text: string): boolean;
}

export interface LogRecord {
  level: "trace" | "debug" | "info" | "warn" | "error";
  message: string;
  attributes: Record<string, string>;
}

/** Something a run asked the outbox for: a request (`method`, `url`) or an event (`kind`). */
export interface Effect {
  readonly id: string;
  readonly status: "waiting" | "performed" | "cancelled";
  readonly body: Uint8Array;
  /** Milliseconds. */
  readonly delay: number | undefined;
  readonly method?: string;
  readonly url?: string;
  readonly headers?: [name: string, value: string][];
  readonly replyAs?: string;
  readonly kind?: string;
  readonly contentType?: string;
  text(): string;
  json<T = any>(): T;
}

/** The event a Stripe webhook with this body becomes: the envelope, as text, bytes or an object. */
export function event(body: string | Uint8Array | object): Event;

/** A Stripe event of this type about this object, in test mode. */
export function stripe(
  kind: StripeEventType | (string & {}),
  object: object,
  fields?: { id?: string; previous?: object; [field: string]: unknown },
): Event;

/** The event in a file: the body of a Stripe webhook. */
export function fixture(path: string | { readonly href: string }): Event;

/** An event of signalbox's own, such as `signalbox.delivery.dead`. */
export function signalbox(kind: string, object: object, fields?: { id?: string }): Event;

/** An event of any provider, with any body. */
export function raw(
  provider: string,
  kind: string,
  body: string | Uint8Array,
  options?: {
    id?: string;
    contentType?: string;
    attributes?: Record<string, string | number | boolean>;
    /** When it happened, in milliseconds. */
    at?: number;
  },
): Event;
