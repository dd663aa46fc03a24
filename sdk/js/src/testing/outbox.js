// The outbox of the host for tests: what was asked for and waits, and what the real host would refuse,
// as far as it is easily got wrong.

import { Refused } from "../errors.js";
import { decode } from "../utf8.js";
import { Effect } from "./run.js";

export class Outbox {
  committed = [];
  #delivery = "";
  #asked = [];
  #cancels = [];
  #operations = 0;
  #bytes = 0;

  constructor(limits, granted) {
    this.limits = limits;
    this.granted = granted;
  }

  begin(delivery) {
    this.#delivery = delivery;
    this.#asked = [];
    this.#cancels = [];
    this.#operations = this.#bytes = 0;
  }

  /** Keep what the run asked for: answers it. */
  commit() {
    for (const effect of this.#cancels) effect.status = "cancelled";
    for (const effect of this.#asked) {
      const at = this.committed.findIndex(({ id }) => id === effect.id);
      if (at === -1) this.committed.push(effect);
      // A replay does not perform again what was performed.
      else if (this.committed[at].status !== "performed") this.committed[at] = effect;
    }
    return this.#asked;
  }

  find(id) {
    return this.committed.find((effect) => effect.id === id);
  }

  ask(fields) {
    const mistake = fields.kind === undefined ? badRequest(fields) : badKind(fields.kind);
    if (mistake !== undefined) throw new Refused("outbox", "invalid", mistake);
    if (!this.granted) {
      const { kind, method, url } = fields;
      const grant =
        kind === undefined ? `outbox.http \`${method} ${url}\`` : `outbox.emit \`${kind}\``;
      throw new Refused("outbox", "not-granted", grant);
    }
    const size = sizeOf(fields);
    if (this.#bytes + size > this.limits.effectBytes) throw new Refused("outbox", "quota");
    this.#operation();
    this.#bytes += size;
    const effect = new Effect({ id: `${this.#delivery}.${this.#asked.length}`, ...fields });
    this.#asked.push(effect);
    return effect.id;
  }

  cancel(id) {
    const invalid = (what) => new Refused("outbox", "invalid", `\`${id}\` is ${what}`);
    const at = id.lastIndexOf(".");
    if (at === -1) throw invalid("not an effect id");
    const delivery = id.slice(0, at);
    if (delivery === this.#delivery) throw invalid("an effect of this very delivery");
    const plugin = (text) => text.slice(text.lastIndexOf(".") + 1);
    if (plugin(delivery) !== plugin(this.#delivery)) throw invalid("an effect of another plugin");
    this.#operation();
    const effect = this.find(id);
    if (effect?.status !== "waiting" || this.#cancels.includes(effect)) return false;
    this.#cancels.push(effect);
    return true;
  }

  #operation() {
    if (this.#operations >= this.limits.effects) throw new Refused("outbox", "quota");
    this.#operations += 1;
  }
}

function sizeOf({
  method = "",
  url = "",
  headers = [],
  body,
  replyAs = "",
  kind = "",
  contentType = "",
}) {
  const texts = [method, url, replyAs, kind, contentType, ...headers.flat()];
  return texts.reduce((sum, text) => sum + text.length, body.length);
}

function badRequest({ method, url, headers, body }) {
  if (!/^[A-Z]+$/.test(method)) return `\`${method}\` is no upper-case method such as \`POST\``;
  if (!/^https?:\/\//.test(url)) return `the URL \`${url}\` is not an absolute \`https\` URL`;
  if (`${url}${decode(body)}`.includes("{{secret:")) {
    return "a secret can stand in the value of a header alone";
  }
  const bad = headers.find(([name]) => !/^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name));
  return bad && `\`${bad[0]}\` is no name of a header`;
}

function badKind(kind) {
  const bad = kind.includes("*") || /\s/.test(kind) || kind.split(".").includes("");
  return bad ? `\`${kind}\` is no event type such as \`reminder.due\`` : undefined;
}
