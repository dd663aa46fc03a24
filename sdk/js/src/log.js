// Log records, shown to the operator with the delivery they belong to. They are kept when it fails.

import { host } from "./host.js";
import { show } from "./show.js";

/** Write one record; the attributes are names and values to search for. */
export function write(level, message, attributes = {}) {
  const pairs = Object.entries(attributes).map(([name, value]) => [name, show(value)]);
  host("log").logWrite(level, show(message), pairs);
}

export const trace = (message, attributes) => write("trace", message, attributes);
export const debug = (message, attributes) => write("debug", message, attributes);
export const info = (message, attributes) => write("info", message, attributes);
export const warn = (message, attributes) => write("warn", message, attributes);
export const error = (message, attributes) => write("error", message, attributes);
