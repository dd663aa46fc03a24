// The settings the operator gave this plugin. Secrets are not among them: they never enter a plugin.

import { retry } from "./failure.js";
import { host } from "./host.js";

/** One setting, undefined when the operator did not set it. */
export function get(key) {
  return host("config").configGet(key);
}

/** Every setting. */
export function all() {
  return Object.fromEntries(host("config").configAll());
}

/** One setting; without it the delivery is tried again later: the operator can mend that. */
export function required(key) {
  return get(key) ?? retry(`the operator's setting \`${key}\` is missing`);
}

/** One setting as a number, undefined when the operator did not set it. */
export function number(key) {
  const text = get(key);
  if (text === undefined) return undefined;
  const value = text.trim() === "" ? NaN : Number(text);
  return Number.isFinite(value)
    ? value
    : retry(`the operator's setting \`${key}\` is no number: \`${text}\``);
}
