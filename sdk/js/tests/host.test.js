// State, objects, settings and effects, under the host for tests.

import assert from "node:assert/strict";
import { test } from "node:test";

import { KvError, Refused, config, kv, objects, outbox, plugin, timer } from "../src/index.js";
import { Host, LIMITS, stripe } from "../src/testing/index.js";

const app = plugin({ name: "sample", version: "1.0.0" });
const code = (wanted) => (error) => error.code === wanted;

test("values, text, bytes and counters are kept by a run that succeeds", () => {
  const host = new Host();
  host.run(() => {
    kv.set("json", { n: 9007199254740993n });
    kv.setText("text", "雪");
    kv.setBytes("bytes", new Uint8Array([0, 255]));
    kv.set("gone", null);
    kv.delete("gone");
    assert.equal(kv.get("gone"), undefined);
    assert.equal(kv.counter("count").add(), 1);
    assert.equal(kv.counter("count").add(-3), -2);
    assert.throws(() => kv.set("nothing", undefined), TypeError);
    assert.throws(() => kv.get("text"), code("shape"));
  });
  assert.deepEqual(host.get("json"), { n: 9007199254740993n });
  assert.equal(host.getText("text"), "雪");
  assert.deepEqual(host.keys(), ["bytes", "count", "json", "text"]);
  host.run(() => {
    assert.deepEqual(kv.getBytes("bytes"), new Uint8Array([0, 255]));
    kv.set("count", Number.MAX_SAFE_INTEGER);
    assert.throws(() => kv.counter("count").add(), code("overflow"));
  });
});

test("keys come in the order of their bytes, over all pages, with the run's own writes", () => {
  const host = new Host();
  for (let n = 0; n < 40; n += 1) host.set(`k/${String(n).padStart(2, "0")}`, n);
  host.run(() => {
    kv.delete("k/01");
    kv.set("k/🎉", 1);
    kv.set("k/\uffee", 1);
    kv.set("other", 1);
    const keys = [...kv.keys("k/")];
    assert.equal(keys.length, 41);
    assert.deepEqual(keys.slice(0, 2), ["k/00", "k/02"]);
    assert.deepEqual(keys.slice(-2), ["k/\uffee", "k/🎉"]);
  });
});

test("the contract's limits hold", () => {
  const limits = { kvOperations: 8, kvValue: 10, kvWrites: 1_000, kvQuota: 20, logRecords: 1 };
  const host = new Host({ limits });
  host.run(() => {
    assert.throws(() => kv.get(""), code("key-size"));
    assert.throws(() => kv.get("k".repeat(513)), code("key-size"));
    assert.throws(() => kv.setText("k", "x".repeat(11)), code("value-size"));
    kv.setText("a", "x".repeat(10));
    assert.throws(() => kv.setText("b", "x".repeat(9)), code("quota"));
    kv.setText("a", "y".repeat(10));
    kv.get("none");
    assert.throws(() => [...kv.keys("")].map(kv.get), KvError);
  });
  assert.equal(LIMITS.effects, 100);
});

test("the mirror holds what was put there, and no more than was granted", () => {
  const host = new Host().withObject(
    "customer",
    "cus_1",
    { name: "雪", n: 2n ** 60n },
    { deleted: true },
  );
  host.run(() => {
    const found = objects.get("customer", "cus_1");
    assert.deepEqual(found.body, { name: "雪", n: 2n ** 60n });
    assert.equal(found.deleted, true);
    assert.ok(found.asOf instanceof Date);
    assert.equal(objects.get("customer", "cus_2"), undefined);
    assert.equal(objects.get("customer", "cus_1", { provider: "other" }), undefined);
  });
  new Host({ granted: false }).run(() => {
    assert.throws(() => objects.get("customer", "cus_1"), code("not-granted"));
    assert.throws(() => outbox.emit("a.b", {}), code("not-granted"));
  });
});

test("settings are the operator's", () => {
  const host = new Host({ settings: { limit: 5, bad: "five", name: "x" } });
  host.run(() => {
    assert.equal(config.get("name"), "x");
    assert.equal(config.number("limit"), 5);
    assert.equal(config.number("absent"), undefined);
    assert.deepEqual(config.all(), { limit: "5", bad: "five", name: "x" });
  });
  assert.match(host.run(() => config.number("bad")).expectRetry().reason, /no number: `five`/);
  assert.match(
    host.run(() => config.required("absent")).expectRetry().reason,
    /`absent` is missing/,
  );
});

test("a request is asked for as it was written, and answered", () => {
  const asking = plugin({ name: "asking", version: "1.0.0" })
    .on("customer.created", () => {
      outbox.post("https://a.example/x", {
        json: { n: 2n ** 60n },
        headers: { Authorization: "Bearer {{secret:KEY}}" },
        replyAs: "x.answered",
        after: "5s",
      });
    })
    .on(
      "x.answered",
      (event) => {
        const reply = event.reply();
        kv.set("answer", [
          reply.status,
          reply.ok,
          reply.headers["content-type"],
          reply.json(),
          reply.effect,
        ]);
      },
      { provider: "asking" },
    );
  const host = new Host();
  const [effect] = host.deliver(asking, stripe("customer.created", {})).expectOk().effects;
  assert.equal(effect.id, "stripe.evt_test.asking.0");
  assert.equal(effect.delay, 5_000);
  assert.equal(effect.text(), '{"n":1152921504606846976}');
  assert.deepEqual(effect.headers, [
    ["authorization", "Bearer {{secret:KEY}}"],
    ["content-type", "application/json"],
  ]);
  host
    .reply(asking, effect, { status: 201, headers: { "content-type": "a/b" }, body: "[1]" })
    .expectOk();
  assert.deepEqual(host.get("answer"), [201, true, "a/b", [1], effect.id]);
  assert.throws(() => host.reply(asking, effect), /does not wait: it is performed/);
});

test("a timer fires, or is withdrawn by a later delivery", () => {
  const timed = plugin({ name: "timed", version: "1.0.0" })
    .on("a.set", (event) => kv.set("timer", timer.set("a.due", { of: event.id }, "2d")))
    .on("a.cancel", () => kv.set("cancelled", timer.cancel(kv.get("timer"))))
    .on("a.due", (event) => kv.set("due", event.json().of), { provider: "timed" });
  const host = new Host();
  const [due] = host.deliver(timed, stripe("a.set", {}, { id: "evt_1" })).effects;
  host.fire(timed, due).expectOk();
  assert.equal(host.get("due"), "evt_1");
  host.deliver(timed, stripe("a.set", {}, { id: "evt_2" })).expectOk();
  assert.equal(host.waiting.length, 1);
  host.deliver(timed, stripe("a.cancel", {}, { id: "evt_3" })).expectOk();
  assert.equal(host.get("cancelled"), true);
  assert.deepEqual(
    host.effects.map(({ status }) => status),
    ["performed", "cancelled"],
  );
});

test("a failed run asks for nothing, and mistakes are refused", () => {
  const host = new Host({ limits: { effects: 2, effectBytes: 100 } });
  const refused = (run, wanted) => host.run(() => assert.throws(run, code(wanted)));
  refused(() => outbox.request("post", "https://a.example"), "invalid");
  refused(() => outbox.post("/relative"), "invalid");
  refused(() => outbox.post("https://a.example/{{secret:KEY}}"), "invalid");
  refused(() => outbox.emit("a.*", {}), "invalid");
  refused(() => outbox.cancel("stripe.evt_test.other.0"), "invalid");
  refused(() => outbox.emit("a.b", "x".repeat(200)), "quota");
  refused(() => [1, 2, 3].forEach((n) => outbox.emit("a.b", n)), "quota");
  host.run(() => {
    assert.throws(() => outbox.post("https://a.example", { jsn: 1 }), /no option `jsn`/);
    assert.throws(() => outbox.post("https://a.example", { json: 1, body: "" }), /not both/);
    assert.throws(() => outbox.emit("a.b", undefined), /no JSON/);
  });
  assert.equal(host.effects.length, 2);
  const failing = app.on("x.y", () => {
    outbox.emit("a.b", 1);
    throw new Refused("outbox", "quota");
  });
  assert.equal(host.deliver(failing, stripe("x.y", {})).expectRetry().effects.length, 0);
});
