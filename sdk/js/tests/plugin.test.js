// Plugins as values: what they say of themselves, which function takes what, and how a run ends.

import assert from "node:assert/strict";
import { test } from "node:test";

import { kv, log, plugin, reject, retry } from "../src/index.js";
import { Host, raw, signalbox, stripe } from "../src/testing/index.js";

const sample = () => plugin({ name: "sample", version: "1.0.0" });
const charge = stripe("charge.succeeded", { id: "ch_1", amount: 9007199254740993n });
const run = (code, host = new Host()) =>
  host.deliver(sample().on("charge.succeeded", code), charge);

test("the manifest says it in the contract's words", () => {
  const app = plugin({
    name: "all-of-it",
    version: "1.2.3-rc.1",
    description: "Everything",
    requests: {
      http: "POST https://a.example/*",
      emit: ["a.*", "b.c"],
      objects: "stripe *",
      secrets: "KEY",
    },
    ordering: "none",
    concurrency: 2,
    limits: { cpu: "200ms", wall: 2_000, memory: "32MiB" },
  })
    .on(["charge.succeeded", "refund.*"], () => {}, { filter: "event.livemode" })
    .on("push", () => {}, { provider: "github" });
  assert.deepEqual(app.manifest, {
    name: "all-of-it",
    version: "1.2.3-rc.1",
    requests: [
      { capability: "outbox.http", scope: "POST https://a.example/*" },
      { capability: "outbox.emit", scope: "a.*" },
      { capability: "outbox.emit", scope: "b.c" },
      { capability: "objects", scope: "stripe *" },
      { capability: "secret", scope: "KEY" },
    ],
    attributes: [
      ["description", "Everything"],
      ["ordering", "none"],
      ["concurrency", "2"],
      ["limit-cpu", "200ms"],
      ["limit-wall", "2000ms"],
      ["limit-memory", "32MiB"],
    ],
    subscriptions: [
      { provider: "stripe", kind: "charge.succeeded", filter: "event.livemode" },
      { provider: "stripe", kind: "refund.*", filter: "event.livemode" },
      { provider: "github", kind: "push", filter: undefined },
    ],
  });
});

test("mistakes fail as they are made", () => {
  assert.throws(() => plugin({ name: "Not Kebab", version: "1.0.0" }), /kebab-case/);
  assert.throws(() => plugin({ name: "a", version: "1" }), /semantic version/);
  assert.throws(() => plugin({ name: "a", version: "1.0.0", request: {} }), /no `request`/);
  assert.throws(
    () => plugin({ name: "a", version: "1.0.0", requests: { secret: "K" } }),
    /no `secret`/,
  );
  assert.throws(
    () => plugin({ name: "a", version: "1.0.0", limits: { cpu: "fast" } }),
    /no length of time/,
  );
  assert.throws(() => sample().on("a.b"), /needs a function/);
  assert.throws(() => kv.get("a"), /while no handler runs/);
  const filtered = sample().on("charge.succeeded", () => {}, { filter: "true" });
  assert.throws(() => filtered.on("charge.*", () => {}), /different filters/);
  filtered.on("charge.*", () => {}, { provider: "github" }).on("refund.*", () => {});
});

test("functions run in order until one fails, and only those that take the event", () => {
  const ran = [];
  const app = sample()
    .on("*", () => void ran.push("all"))
    .on(["refund.created", "charge.*"], () => void ran.push("charges"))
    .on("charge.succeeded", () => void ran.push("github"), { provider: "github" })
    .on("charge.succeeded", () => reject("enough"))
    .on("charge.succeeded", () => void ran.push("never"));
  const host = new Host();
  assert.equal(host.deliver(app, charge).expectReject().reason, "enough");
  assert.deepEqual(ran, ["all", "charges"]);
  assert.equal(
    host.deliver(app, signalbox("signalbox.plugin.paused", {})).outcome,
    "not-subscribed",
  );
  assert.equal(app.handle(raw("other", "a.b", ""), {}).verdict, "reject");
});

test("retry and reject say what the host is told, thrown twice or not", () => {
  assert.deepEqual(
    [run(() => retry("later")).reason, run(() => retry("later")).after],
    ["later", undefined],
  );
  assert.equal(run(() => retry("later", { after: "1.5m" })).expectRetry().after, 90_000);
  assert.equal(
    run(() => {
      throw reject("never");
    }).expectReject().reason,
    "never",
  );
});

test("an uncaught error asks for another attempt, and its stack is in the log", () => {
  const host = new Host();
  const ended = run(function broken() {
    kv.set("a", 1);
    throw new Error("boom 雪", { cause: new Error("deeper") });
  }, host).expectRetry();
  assert.equal(ended.reason, "boom 雪");
  assert.equal(ended.logs[0].level, "error");
  assert.match(
    ended.logs[0].message,
    /uncaught Error: boom 雪\n +at .*broken[^]*caused by Error: deeper/,
  );
  assert.deepEqual(host.keys(), []);
  assert.equal(run(() => Promise.reject).outcome, "reject");
  assert.equal(
    run(() => {
      throw "text"; // eslint-disable-line no-throw-literal
    }).expectRetry().reason,
    "text was thrown",
  );
});

test("an error that names what a plugin has not says what to use instead", () => {
  const missing = (name) =>
    run(() => {
      throw new ReferenceError(`${name} is not defined`);
    }).expectRetry();
  assert.match(missing("fetch").reason, /no network: ask for requests with `outbox`/);
  assert.match(missing("'setTimeout'").reason, /cannot wait/);
  assert.equal(missing("prefetch").reason, "prefetch is not defined");
});

test("what a function returns is refused, a promise by its name", () => {
  const silent = run(async function silently() {
    kv.set("a", 1);
  }).expectReject();
  assert.match(silent.reason, /`silently` returned a promise.*without `async`/);
  assert.match(run(() => ({ tag: "err" })).expectReject().reason, /returned \{"tag":"err"\}/);
  assert.match(run(() => 0).expectReject().reason, /returned 0/);
  run(() => undefined).expectOk();
});

test("an event is read as it came", () => {
  run((event, delivery) => {
    assert.equal(event.object().amount, 9007199254740993n);
    assert.equal(
      event.object((o) => o.id),
      "ch_1",
    );
    assert.equal(event.previousAttributes(), undefined);
    assert.equal(event.livemode, false);
    assert.equal(event.apiVersion, "2026-10-28.endive");
    assert.equal(event.occurredAt.getTime(), 1_795_400_000_000);
    assert.equal(event.reply(), undefined);
    assert.deepEqual(delivery, { id: "stripe.evt_test.sample", attempt: 1, replay: false });
  }).expectOk();
});

test("an event of another shape is rejected", () => {
  const app = sample().on("a.b", (event) => void event.object(), { provider: "p" });
  const deliver = (body) => new Host().deliver(app, raw("p", "a.b", body)).expectReject().reason;
  assert.match(deliver("{"), /the body of `a.b` is not JSON/);
  assert.match(deliver("null"), /has no `data.object`/);
  const checked = run((event) => {
    event.object(() => {
      throw new Error("amount: expected number");
    });
  });
  assert.match(checked.expectReject().reason, /not as expected: amount: expected number/);
});

test("records carry their attributes as text", () => {
  const { logs } = run(() => log.warn("careful", { amount: 12n, list: [1], text: "雪" }));
  assert.deepEqual(logs, [
    { level: "warn", message: "careful", attributes: { amount: "12", list: "[1]", text: "雪" } },
  ]);
});
