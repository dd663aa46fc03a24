// The host's mirror of the provider's objects: what its events showed of them, read-only. Every kind
// needs a grant of the operator's.

import { reject } from "./failure.js";
import { host } from "./host.js";
import { parse } from "./json.js";
import { decode } from "./utf8.js";

/** An object as the events left it, undefined when none has shown it. */
export function get(kind, id, { provider = "stripe" } = {}) {
  const object = host("objects").objectsGet(provider, kind, id);
  if (object === undefined) return undefined;
  const { body, asOf, ...rest } = object;
  try {
    return { ...rest, asOf: new Date(asOf), body: parse(decode(body)) };
  } catch (error) {
    reject(`objects: ${provider} ${kind} ${id} is not JSON: ${error.message}`);
  }
}
