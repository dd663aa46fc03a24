// What the host for tests keeps of a plugin's state: committed values, and what the run under way
// writes and reads. The rules are the contract's (`wit/kv.wit`); the numbers are the real host's
// defaults.

import { KvError, Refused } from "../errors.js";
import { encode } from "../utf8.js";

/** What one run may use, by default. */
export const LIMITS = Object.freeze({
  /** Calls to `kv`. */
  kvOperations: 1_000,
  /** Bytes of one value. */
  kvValue: 256 * 1024,
  /** Bytes of all writes of one run. */
  kvWrites: 1024 * 1024,
  /** Bytes of all keys and values the plugin holds. */
  kvQuota: 64 * 1024 * 1024,
  /** Reads of mirrored objects. */
  objectReads: 100,
  /** Bytes of all objects that one run reads. */
  objectBytes: 4 * 1024 * 1024,
  /** Effects and withdrawals. */
  effects: 100,
  /** Bytes of all effects. */
  effectBytes: 1024 * 1024,
  /** Records kept of one run. */
  logRecords: 200,
});

const MAX_KEY = 512;
/** Keys of one page: few, so that a test crosses from one to the next. */
const PAGE = 16;

export class State {
  committed = new Map();
  objects = new Map();
  #writes = new Map();
  #operations = 0;
  #written = 0;
  #read = new Map();
  #readBytes = 0;

  constructor(limits) {
    this.limits = limits;
  }

  begin() {
    this.#writes.clear();
    this.#read.clear();
    this.#operations = this.#written = this.#readBytes = 0;
  }

  /** Keep what the run wrote. */
  commit() {
    for (const [key, value] of this.#writes) {
      if (value === undefined) this.committed.delete(key);
      else this.committed.set(key, value);
    }
  }

  get(key) {
    this.#operation(key);
    return this.#seen(key)?.slice();
  }

  set(key, value) {
    this.#operation(key);
    if (value.length > this.limits.kvValue) throw new KvError("value-size", key);
    this.#write(key, sizeOf(key) + value.length);
    const before = this.#seen(key);
    const freed = before === undefined ? 0 : sizeOf(key) + before.length;
    if (this.#held() - freed + sizeOf(key) + value.length > this.limits.kvQuota) {
      throw new KvError("quota", key);
    }
    this.#writes.set(key, value.slice());
  }

  delete(key) {
    this.#operation(key);
    this.#write(key, sizeOf(key));
    this.#writes.set(key, undefined);
  }

  keys(prefix, after) {
    this.#count(prefix);
    const all = [...new Set([...this.committed.keys(), ...this.#writes.keys()])]
      .filter((key) => this.#seen(key) !== undefined && key.startsWith(prefix))
      .filter((key) => after === undefined || compare(key, after) > 0)
      .sort(compare);
    const keys = all.slice(0, PAGE);
    return { keys, next: all.length > PAGE ? keys.at(-1) : undefined };
  }

  object(provider, kind, id, granted) {
    if (!granted) throw new Refused("objects", "not-granted", `objects \`${provider} ${kind}\``);
    const name = [provider, kind, id].join(" ");
    const object = this.objects.get(name);
    if (!this.#read.has(name)) {
      this.#read.set(name, true);
      this.#readBytes += object?.body.length ?? 0;
      const { objectReads, objectBytes } = this.limits;
      if (this.#read.size > objectReads || this.#readBytes > objectBytes) {
        throw new Refused("objects", "operations");
      }
    }
    return object && { ...object };
  }

  #seen(key) {
    return this.#writes.has(key) ? this.#writes.get(key) : this.committed.get(key);
  }

  #held() {
    const keys = new Set([...this.committed.keys(), ...this.#writes.keys()]);
    return [...keys].reduce((sum, key) => {
      const value = this.#seen(key);
      return value === undefined ? sum : sum + sizeOf(key) + value.length;
    }, 0);
  }

  #operation(key) {
    this.#count(key);
    if (key === "" || sizeOf(key) > MAX_KEY) throw new KvError("key-size", key);
  }

  #count(key) {
    this.#operations += 1;
    if (this.#operations > this.limits.kvOperations) throw new KvError("operations", key);
  }

  #write(key, bytes) {
    this.#written += bytes;
    if (this.#written > this.limits.kvWrites) throw new KvError("operations", key);
  }
}

function sizeOf(text) {
  return encode(text).length;
}

/** Order by bytes of UTF-8, which is that of code points. */
function compare(a, b) {
  const [x, y] = [encode(a), encode(b)];
  for (let at = 0; at < Math.min(x.length, y.length); at += 1) {
    if (x[at] !== y[at]) return x[at] - y[at];
  }
  return x.length - y.length;
}
