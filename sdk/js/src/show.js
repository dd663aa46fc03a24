// Any value as text for people. Not JSON, and not meant to be read back.

import { stringify } from "./json.js";

/** Text as it is, errors with their stack and causes, everything else as near to JSON as it goes. */
export function show(value) {
  if (typeof value === "string") return value;
  if (value instanceof Error) return showError(value);
  if (typeof value === "function") return `[function ${value.name || "without a name"}]`;
  if (value instanceof Uint8Array) return `[${value.length} bytes]`;
  if (value instanceof Map) return `Map ${show([...value])}`;
  if (value instanceof Set) return `Set ${show([...value])}`;
  try {
    return (typeof value === "object" && value !== null && stringify(value)) || String(value);
  } catch {
    return String(value);
  }
}

/** The message, where it was thrown, and what caused it. */
export function showError(error) {
  const head = `${error.name}: ${error.message}`;
  const stack = String(error.stack ?? "").trimEnd();
  // V8 begins the stack with the message, QuickJS does not.
  const text = stack.startsWith(error.name) ? stack : [head, stack].filter(Boolean).join("\n");
  return error.cause === undefined ? text : `${text}\ncaused by ${show(error.cause)}`;
}
