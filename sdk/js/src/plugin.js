// A plugin as a value: what it is called and which functions take which events. Not the crossing of
// the sandbox's border (`guest`): the same value runs in a native test.

import { Failure } from "./failure.js";
import { hint } from "./hints.js";
import { write } from "./log.js";
import { manifestOf } from "./manifest.js";
import { holds, overlap } from "./patterns.js";
import { show, showError } from "./show.js";

/** What a plugin is: give it functions with `on`, and export it as the module's default. */
export function plugin(description) {
  return new Plugin(description);
}

export class Plugin {
  #manifest;
  #receivers = [];

  constructor(description) {
    this.#manifest = manifestOf(description);
  }

  get name() {
    return this.#manifest.name;
  }

  get version() {
    return this.#manifest.version;
  }

  /** What the host is told, in the words of the contract. */
  get manifest() {
    const subscriptions = this.#receivers.flatMap(({ provider, kinds, filter }) =>
      kinds.map((kind) => ({ provider, kind, filter })),
    );
    return { ...this.#manifest, subscriptions };
  }

  /** Have a function called with each event of these types. */
  on(kinds, run, { provider = "stripe", filter } = {}) {
    if (typeof run !== "function") {
      throw new TypeError(`on(${show(kinds)}, ...) needs a function, not ${show(run)}`);
    }
    const receiver = { provider, kinds: [kinds].flat(), filter, run };
    for (const other of this.#receivers) {
      if (other.provider !== provider || other.filter === filter) continue;
      if (receiver.kinds.some((kind) => other.kinds.some((held) => overlap(kind, held)))) {
        throw new TypeError(
          `two functions of this plugin take \`${receiver.kinds}\` and \`${other.kinds}\` with ` +
            "different filters. The host applies filters before it starts the plugin, once for " +
            "all its functions: give both the same filter, or make two plugins of them",
        );
      }
    }
    this.#receivers.push(receiver);
    return this;
  }

  /** Whether some function takes the event; the filter is the host's to apply. */
  takes(event) {
    return this.#taking(event).length > 0;
  }

  /** Run every function that takes the event, until one fails. The failure, if there was one. */
  handle(event, delivery) {
    try {
      const taking = this.#taking(event);
      if (taking.length === 0) {
        const what = `\`${event.kind}\` of \`${event.provider}\``;
        return new Failure("reject", `nothing in ${this.name} ${this.version} takes ${what}`);
      }
      for (const { run } of taking) refuse(run(event, delivery), run);
      return undefined;
    } catch (error) {
      return failureOf(error);
    }
  }

  #taking(event) {
    return this.#receivers.filter(
      ({ provider, kinds }) =>
        provider === event.provider && kinds.some((kind) => holds(kind, event.kind)),
    );
  }
}

/** A function returns nothing. Whatever else it returns was meant to be something that it is not. */
function refuse(returned, run) {
  if (returned === undefined) return;
  const name = run.name ? `\`${run.name}\`` : "the function";
  const what =
    typeof returned?.then === "function"
      ? `${name} returned a promise, and nothing after its first \`await\` would run. Write it ` +
        "without `async`: no call of the SDK waits for anything, and requests go through `outbox`"
      : `${name} returned ${show(returned)}, which means nothing here: return nothing when the ` +
        "event was handled, call `retry(reason)` or `reject(reason)` when it was not";
  throw new Failure("reject", what);
}

/** What an error means that nothing caught. Only one that was not meant goes to the log. */
function failureOf(error) {
  if (error instanceof Failure) return error;
  const thrown = error instanceof Error ? error : new Error(`${show(error)} was thrown`);
  const advice = hint(thrown);
  write("error", [`uncaught ${showError(thrown)}`, ...advice].join("\n"));
  return new Failure("retry", [thrown.message || thrown.name, ...advice].join("; "));
}
