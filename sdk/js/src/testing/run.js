// How one run under the host for tests ended.

import { parse } from "../json.js";
import { decode } from "../utf8.js";

/** The end of a run: its outcome, what it logged and what it asked the outbox for. */
export class Run {
  constructor({ outcome, reason, after, value, logs, logsDropped, effects }) {
    Object.assign(this, { outcome, reason, after, value, logs, logsDropped, effects });
  }

  /** Go on only after success. */
  expectOk() {
    return this.#expect("ok");
  }

  /** Go on only after a wish for another attempt. */
  expectRetry() {
    return this.#expect("retry");
  }

  /** Go on only after a refusal for good. */
  expectReject() {
    return this.#expect("reject");
  }

  /** Whether some record's text holds this. */
  logged(text) {
    return this.logs.some(({ message }) => message.includes(text));
  }

  #expect(outcome) {
    if (this.outcome === outcome) return this;
    const why = this.reason === undefined ? "" : `: ${this.reason}`;
    const said = this.logs.map(({ level, message }) => `\n  ${level} ${message}`).join("");
    throw new Error(`the run ended in ${this.outcome}, not in ${outcome}${why}${said}`);
  }
}

/** Something a run asked the outbox for. */
export class Effect {
  constructor(fields) {
    Object.assign(this, { status: "waiting" }, fields);
  }

  /** The body as text. */
  text() {
    return decode(this.body);
  }

  /** The body as JSON. */
  json() {
    return parse(this.text());
  }
}
