// The plugin's durable state: an ordered map of its own. What a delivery writes is committed
// together with its success, once, or not at all.
//
// Values are JSON, so that the operator can read them; text and bytes can be kept as they are.

import { KvError } from "./errors.js";
import { host } from "./host.js";
import { parse, stringify } from "./json.js";
import { bytesOf, decode, encode } from "./utf8.js";

/** The value under the key, undefined when there is none. */
export function get(key) {
  const text = getText(key);
  if (text === undefined) return undefined;
  try {
    return parse(text);
  } catch (cause) {
    throw new KvError("shape", key, { cause });
  }
}

/** Put a value, as JSON. */
export function set(key, value) {
  const text = stringify(value);
  if (text === undefined) {
    throw new TypeError(`kv \`${key}\`: ${typeof value} is no JSON; \`kv.delete\` removes a key`);
  }
  setText(key, text);
}

/** The text under the key, undefined when there is none. */
export function getText(key) {
  const bytes = getBytes(key);
  return bytes === undefined ? undefined : decode(bytes);
}

/** Put text as it is. */
export function setText(key, text) {
  if (typeof text !== "string") throw new TypeError(`kv \`${key}\`: ${typeof text} is no text`);
  setBytes(key, encode(text));
}

/** The bytes under the key, undefined when there are none. */
export function getBytes(key) {
  return host("kv").kvGet(keyOf(key));
}

/** Put bytes as they are. */
export function setBytes(key, bytes) {
  host("kv").kvSet(keyOf(key), bytesOf(bytes, `kv \`${key}\`: the value`));
}

function remove(key) {
  host("kv").kvDelete(keyOf(key));
}
export { remove as delete };

/** The keys that start with the prefix, in order, fetched page by page. */
export function* keys(prefix = "") {
  let after;
  do {
    const page = host("kv").kvKeys(prefix, after);
    yield* page.keys;
    after = page.next;
  } while (after !== undefined);
}

/** A whole number that counts each event once. */
export function counter(key) {
  return new Counter(key);
}

class Counter {
  constructor(key) {
    this.key = keyOf(key);
  }

  /** What it stands at; 0 until it is first added to. */
  get() {
    const count = get(this.key) ?? 0;
    if (Number.isSafeInteger(count)) return count;
    throw new KvError(typeof count === "bigint" ? "overflow" : "shape", this.key);
  }

  /** Add to it, and say what it stands at then. */
  add(n = 1) {
    if (!Number.isSafeInteger(n)) throw new TypeError(`kv \`${this.key}\`: add a whole number`);
    const sum = this.get() + n;
    if (!Number.isSafeInteger(sum)) throw new KvError("overflow", this.key);
    set(this.key, sum);
    return sum;
  }
}

function keyOf(key) {
  if (typeof key === "string") return key;
  throw new TypeError(`a key of kv is text, not ${typeof key}`);
}
