// The component's two exports. `signalbox build` writes the module that calls `guest`; a plugin's
// author never does. Not the sandbox's border itself (`border`).

import "./globals.js";
import { Event } from "../event.js";
import { within } from "../host.js";
import { Plugin } from "../plugin.js";
import { border } from "./border.js";
import { seeded } from "./random.js";

/** The interface `handler` of the contract, for a plugin and the imports of its component. */
export function guest(plugin, imports) {
  if (!(plugin instanceof Plugin)) {
    throw new TypeError(
      "the plugin's entry module has no plugin as its default export: end it with " +
        "`export default plugin({ name, version }).on(...)`",
    );
  }
  return {
    describe: () => plugin.manifest,
    handle(event, delivery) {
      // Numbers of 64 bits are numbers in one engine and BigInts in the other.
      const wide = typeof event.occurredAt === "bigint" ? BigInt : Number;
      const host = border(imports, wide);
      seeded(host);
      const failure = within(host, () => plugin.handle(new Event(event), { ...delivery }));
      if (failure)
        throw Object.assign(new Error(failure.message), { payload: typed(failure, wide) });
    },
  };
}

/** A failure in the words of the contract. */
function typed({ verdict, reason, after }, wide) {
  if (verdict === "reject") return { tag: "reject", val: reason };
  return { tag: "retry", val: { reason, after: after === undefined ? undefined : wide(after) } };
}
