// Durable timers: events that the plugin emits to itself, later. They outlive restarts.

import { cancel as withdraw, emit } from "./outbox.js";

/** Deliver an event of this type to the plugin, no earlier than `after` from the commit. */
export function set(kind, value, after) {
  return emit(kind, value, { after });
}

/** Withdraw a timer that an earlier delivery set; false when it has fired or was withdrawn. */
export const cancel = (timer) => withdraw(timer);
