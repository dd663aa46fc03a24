// The host for tests: a plugin's state in memory, treated as the real one treats it. A failed run
// leaves no writes and no effects, and the contract's limits hold.

import { Failure } from "../failure.js";
import { within } from "../host.js";
import { parse, stringify } from "../json.js";
import { bytesOf, decode, encode } from "../utf8.js";
import { raw } from "./event.js";
import { Outbox } from "./outbox.js";
import { Run } from "./run.js";
import { LIMITS, State } from "./state.js";

export class Host {
  #settings;
  #state;
  #outbox;
  #limits;

  constructor({ settings = {}, limits = {}, granted = true } = {}) {
    this.#settings = settings;
    this.#limits = { ...LIMITS, ...limits };
    this.#state = new State(this.#limits);
    this.#outbox = new Outbox(this.#limits, granted);
    this.granted = granted;
  }

  /** Put an object into the mirror. */
  withObject(kind, id, body, options = {}) {
    const { provider = "stripe", deleted = false, asOf = 0, eventId = "evt_test" } = options;
    const object = {
      id,
      kind,
      asOf: Number(asOf),
      eventId,
      deleted,
      body: encode(stringify(body)),
    };
    this.#state.objects.set([provider, kind, id].join(" "), object);
    return this;
  }

  /** Deliver an event to the whole plugin. */
  deliver(plugin, event, { attempt = 1, replay = false } = {}) {
    if (!plugin.takes(event)) {
      return new Run({ outcome: "not-subscribed", logs: [], logsDropped: 0, effects: [] });
    }
    const id = `${event.provider}.${event.id}.${plugin.name}`;
    return this.#run(id, () => {
      const failure = plugin.handle(event, { id, attempt, replay });
      if (failure) throw failure;
    });
  }

  /** Run any code that calls the host as a delivery of its own. Its errors are the test's. */
  run(code) {
    return this.#run("stripe.evt_test.plugin", code);
  }

  #run(delivery, code) {
    this.#state.begin();
    this.#outbox.begin(delivery);
    const logs = [];
    let logsDropped = 0;
    const log = (record) => {
      if (logs.length < this.#limits.logRecords) logs.push(record);
      else logsDropped += 1;
    };
    const end = (outcome, more) => {
      const effects = outcome === "ok" ? this.#commit() : [];
      return new Run({ outcome, logs, logsDropped, effects, ...more });
    };
    try {
      const value = within(this.#border(log), code);
      return end("ok", { value });
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return end(error.verdict, { reason: error.reason, after: error.after });
    }
  }

  #commit() {
    this.#state.commit();
    return this.#outbox.commit();
  }

  #border(log) {
    const [state, outbox, settings] = [this.#state, this.#outbox, this.#settings];
    return {
      logWrite: (level, message, pairs) =>
        log({ level, message, attributes: Object.fromEntries(pairs) }),
      configGet: (key) => (Object.hasOwn(settings, key) ? String(settings[key]) : undefined),
      configAll: () => Object.entries(settings).map(([key, value]) => [key, String(value)]),
      kvGet: (key) => state.get(key),
      kvSet: (key, value) => state.set(key, value),
      kvDelete: (key) => state.delete(key),
      kvKeys: (prefix, after) => state.keys(prefix, after),
      objectsGet: (provider, kind, id) => state.object(provider, kind, id, this.granted),
      outboxHttp: (request, delay, replyAs) => outbox.ask({ ...request, delay, replyAs }),
      outboxEmit: (kind, contentType, body, delay) =>
        outbox.ask({ kind, contentType, body, delay }),
      outboxCancel: (id) => outbox.cancel(id),
    };
  }

  /** The value that is kept under a key, undefined when there is none. */
  get(key) {
    const text = this.getText(key);
    return text === undefined ? undefined : parse(text);
  }

  /** The text that is kept under a key. */
  getText(key) {
    const bytes = this.#state.committed.get(key);
    return bytes === undefined ? undefined : decode(bytes);
  }

  /** Keep a value under a key, as if an earlier run had. */
  set(key, value) {
    this.#state.committed.set(key, encode(stringify(value)));
    return this;
  }

  /** Every key that is kept. */
  keys() {
    return [...this.#state.committed.keys()].sort();
  }

  /** Everything that committed runs asked for, in order. */
  get effects() {
    return [...this.#outbox.committed];
  }

  /** Of those, what waits: neither performed nor withdrawn. */
  get waiting() {
    return this.effects.filter(({ status }) => status === "waiting");
  }

  /** A timer or another event of the plugin's own is due: deliver it to the plugin. */
  fire(plugin, effect) {
    const { id, kind, contentType, body } = this.#perform(effect);
    if (kind === undefined) throw new Error(`${id} is a request; \`reply\` delivers its answer`);
    return this.deliver(plugin, raw(plugin.name, kind, body, { id: eventId(id), contentType }));
  }

  /** A request was answered: deliver the answer to the plugin. Status 0: the host gave it up. */
  reply(plugin, effect, { status = 200, headers = {}, body = "" } = {}) {
    const { id, replyAs } = this.#perform(effect);
    if (replyAs === undefined) throw new Error(`${id} asked for no answer; \`replyAs\` does`);
    const named = Object.entries(headers).map(([name, value]) => [`header-${name}`, value]);
    const attributes = { status, "effect-id": id, ...Object.fromEntries(named) };
    const bytes = bytesOf(body, "the body of the answer");
    return this.deliver(plugin, raw(plugin.name, replyAs, bytes, { id: eventId(id), attributes }));
  }

  #perform(effect) {
    const id = typeof effect === "string" ? effect : effect.id;
    const found = this.#outbox.find(id);
    if (found === undefined) throw new Error(`no run that succeeded asked for ${id}`);
    if (found.status !== "waiting") throw new Error(`${id} does not wait: it is ${found.status}`);
    found.status = "performed";
    return found;
  }
}

/** The identifier of the event that an effect makes: always the same, as on the real host. */
function eventId(effect) {
  return `evt_${effect.replaceAll(".", "_")}`;
}
