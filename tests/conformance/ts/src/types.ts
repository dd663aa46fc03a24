// What the SDK's types say: never run, checked by the compiler when the plugin is built. Each line
// that must be an error is marked as one, and an error that is missing is an error.

import { config, kv, objects, outbox, plugin, reject, retry, timer } from "@signalbox/sdk";
import type { Delivery, Event, StripeEventType } from "@signalbox/sdk";
import { Host, stripe } from "@signalbox/sdk/testing";

type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : never;
const same = <A, B>(_: Same<A, B>) => {};

const app = plugin({ name: "types", version: "1.0.0", limits: { cpu: "200ms", memory: "32MiB" } });

// @ts-expect-error a version is missing
plugin({ name: "types" });
// @ts-expect-error a length of time has a unit
plugin({ name: "types", version: "1.0.0", limits: { cpu: "200" } });
// @ts-expect-error there is no such request
plugin({ name: "types", version: "1.0.0", requests: { https: "POST https://a.example" } });

function named(event: Event, delivery: Delivery) {
  same<typeof delivery.attempt, number>(true);
  kv.set(event.id, 1);
}
app.on("charge.succeeded", named).on(["a.new.kind", "customer.*"] as const, named);
app.on("push", (event) => same<typeof event, Event>(true), { provider: "github" });
app.on("charge.refunded", (event) => retry(event.id, { after: "5m" }), { filter: "true" });
// @ts-expect-error nothing after an `await` would run
app.on("charge.succeeded", async () => {});
// @ts-expect-error a promise by any other way
app.on("charge.succeeded", (event) => Promise.resolve(event.id));
// @ts-expect-error what is returned means nothing
app.on("charge.succeeded", () => kv.counter("a").add());
// @ts-expect-error there is no such option
app.on("charge.succeeded", named, { filters: "true" });

const known: StripeEventType = "charge.succeeded";
// @ts-expect-error no type of Stripe's
const unknown: StripeEventType = "charge.suceeded";

interface Charge {
  amount: number | bigint;
}

export function values(event: Event) {
  same<ReturnType<typeof event.object<Charge>>, Charge>(true);
  const checked = event.object((value): Charge => (value ? { amount: 1n } : reject("nothing")));
  same<typeof checked, Charge>(true);
  // @ts-expect-error it may be a BigInt
  checked.amount.toFixed();
  same<typeof event.body, Uint8Array>(true);
  same<typeof event.livemode, boolean | undefined>(true);

  const stored = kv.get<Charge>("a");
  // @ts-expect-error there may be none
  stored.amount;
  // @ts-expect-error no JSON
  kv.set("a", undefined);
  kv.delete("a");
  for (const key of kv.keys("a/")) same<typeof key, string>(true);

  const limit = config.number("limit") ?? reject("after this it is a number");
  same<typeof limit, number>(true);
  const customer = objects.get<{ email: string }>("customer", "cus_1");
  same<typeof customer, objects.MirroredObject<{ email: string }> | undefined>(true);

  const effect = outbox.post("https://a.example", {
    json: checked,
    headers: [["a", "b"]],
    after: 5,
  });
  same<typeof effect, string>(true);
  // @ts-expect-error one body or the other
  outbox.post("https://a.example", { json: 1, body: "1" });
  // @ts-expect-error a GET has no body
  outbox.get("https://a.example", { json: 1 });
  timer.set("a.due", { of: known }, "7d");
  // @ts-expect-error how long?
  timer.set("a.due", {});

  const run = new Host({ settings: { limit: 5 } }).deliver(app, stripe(known, { amount: 1 }));
  same<(typeof run.effects)[0] extends undefined ? 1 : 2, 2>(true);
  run.expectOk().effects[0]?.json<Charge>().amount;
  // @ts-expect-error after `reject` nothing runs
  return (reject(String(unknown)), stored.amount);
}
