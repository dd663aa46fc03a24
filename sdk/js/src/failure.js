// Why an event was not handled: another attempt, or none. Not what the host does about it; backoff,
// attempts and dead letters are the operator's.

import { milliseconds } from "./duration.js";

/** What `retry` and `reject` throw. `verdict` is one of the two words. */
export class Failure extends Error {
  constructor(verdict, reason, after) {
    super(String(reason));
    this.name = "Failure";
    this.verdict = verdict;
    this.after = after;
  }

  get reason() {
    return this.message;
  }
}

/** It may succeed later: the host delivers the event again, no earlier than `after` from now. */
export function retry(reason, { after } = {}) {
  throw new Failure("retry", reason, after === undefined ? undefined : milliseconds(after));
}

/** It will never succeed: the host gives the event up; an operator can replay it. */
export function reject(reason) {
  throw new Failure("reject", reason);
}
