// Effects on the world, performed by the host once the delivery has committed: nothing happens while
// a handler runs, and nothing at all if it fails. Everything needs a grant of the operator's.

import { milliseconds } from "./duration.js";
import { host } from "./host.js";
import { stringify } from "./json.js";
import { bytesOf, encode } from "./utf8.js";

/** Ask for a request; answers the effect's identifier. */
export function request(method, url, options = {}) {
  const { after, replyAs, ...content } = options;
  const { headers, body } = contentOf(content);
  const wanted = { method, url: String(url), headers, body };
  return host("outbox").outboxHttp(wanted, delayOf(after), replyAs);
}

export const get = (url, options) => request("GET", url, options);
export const post = (url, options) => request("POST", url, options);
export const put = (url, options) => request("PUT", url, options);
export const patch = (url, options) => request("PATCH", url, options);
function remove(url, options) {
  return request("DELETE", url, options);
}
export { remove as delete };

/** Publish an event of this plugin's own; its body is the value as JSON. */
export function emit(kind, value, { after } = {}) {
  const body = jsonOf(value, `the body of \`${kind}\``);
  return host("outbox").outboxEmit(kind, "application/json", body, delayOf(after));
}

/** As `emit`, with a body of any media type: text or bytes. */
export function emitRaw(kind, contentType, body, { after } = {}) {
  const bytes = bytesOf(body, `the body of \`${kind}\``);
  return host("outbox").outboxEmit(kind, contentType, bytes, delayOf(after));
}

/** Withdraw what an earlier delivery asked for; false when it is too late. */
export function cancel(effect) {
  return host("outbox").outboxCancel(effect);
}

function contentOf({ json, body, contentType, headers = {}, ...unknown }) {
  const [stranger] = Object.keys(unknown);
  if (stranger !== undefined) {
    throw new TypeError(
      `outbox: there is no option \`${stranger}\`; there are \`json\`, \`body\`, \`contentType\`, ` +
        "`headers`, `replyAs` and `after`",
    );
  }
  if (json !== undefined && body !== undefined) {
    throw new TypeError("outbox: a request has `json` or `body`, not both");
  }
  const entries = Array.isArray(headers) ? headers : Object.entries(headers);
  const lower = entries.map(([name, value]) => [name.toLowerCase(), String(value)]);
  const type = contentType ?? (json === undefined ? undefined : "application/json");
  if (type !== undefined && !lower.some(([name]) => name === "content-type")) {
    lower.push(["content-type", type]);
  }
  if (json !== undefined) return { headers: lower, body: jsonOf(json, "the body of the request") };
  return { headers: lower, body: bytesOf(body ?? "", "the body of the request") };
}

function jsonOf(value, what) {
  const text = stringify(value);
  if (text === undefined) throw new TypeError(`${what} is ${typeof value}, which is no JSON`);
  return encode(text);
}

function delayOf(after) {
  const delay = after === undefined ? 0 : milliseconds(after);
  return delay > 0 ? delay : undefined;
}
