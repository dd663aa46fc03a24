// The border of the sandbox, with imports that behave as each engine's do.

import assert from "node:assert/strict";
import { test } from "node:test";

import { guest } from "../src/guest/index.js";
import { config, kv, objects, outbox, plugin, reject, retry } from "../src/index.js";

const thrown = (payload) => {
  throw Object.assign(new Error("refused"), { payload });
};

/** What `wide` makes is how the engine shows 64 bits, `none` how it shows nothing. */
function engine(wide, none) {
  const calls = [];
  const imports = {
    log: { write: (...record) => calls.push(record) },
    config: { get: (key) => (key === "set" ? "x" : none), getAll: () => [["set", "x"]] },
    kv: {
      get: (key) =>
        key === "held" ? new Uint8Array([49]) : key === "" ? thrown("key-size") : none,
      set: () => thrown("quota"),
      delete: () => {},
      keys: (prefix, after) => ({ keys: [`${prefix}${after ?? ""}.`], next: after ? none : "1" }),
    },
    objects: {
      get: (provider, kind, id) =>
        kind === "charge"
          ? thrown("not-granted")
          : id === "held"
            ? { id, kind, asOf: wide(5), eventId: "", deleted: false, body: new Uint8Array([51]) }
            : none,
    },
    outbox: {
      http: (request, delay) => `http ${request.headers} ${typeof delay}`,
      httpWithReply: (request, kind, delay) => `reply ${kind} ${delay}`,
      emit: (kind) =>
        kind === "no.grant" ? thrown({ tag: "not-granted", val: "the grant" }) : "e",
      cancel: () => thrown({ tag: "quota" }),
    },
    random: { getRandomBytes: (count) => new Uint8Array(Number(count)) },
  };
  return { calls, imports };
}

const event = (wide) => ({
  id: "evt_1",
  provider: "stripe",
  kind: "a.b",
  occurredAt: wide(1_000),
  receivedAt: wide(2_000),
  contentType: "application/json",
  body: new TextEncoder().encode("{}"),
  attributes: [["livemode", "true"]],
});
const delivery = { id: "d", attempt: 1, replay: false };

const engines = [
  ["QuickJS", Number, null],
  ["StarlingMonkey", BigInt, undefined],
];
const native = { random: Math.random };

for (const [name, wide, none] of engines) {
  const handle = (code) => {
    const { imports, calls } = engine(wide, none);
    const app = plugin({ name: "sample", version: "1.0.0" }).on("a.b", code);
    try {
      guest(app, imports).handle(event(wide), delivery);
      return { calls };
    } catch (error) {
      return { calls, payload: error.payload };
    } finally {
      Math.random = native.random;
    }
  };

  test(`${name}: calls cross the border in both directions`, () => {
    const { payload } = handle((given) => {
      assert.equal(given.receivedAt.getTime(), 2_000);
      assert.equal(given.livemode, true);
      assert.equal(config.get("set") + String(config.get("not")), "xundefined");
      assert.equal(kv.get("held"), 1);
      assert.equal(kv.get("not"), undefined);
      assert.deepEqual([...kv.keys("k")], ["k.", "k1."]);
      assert.equal(objects.get("customer", "held").asOf.getTime(), 5);
      assert.equal(objects.get("customer", "not"), undefined);
      assert.equal(outbox.get("u", { headers: { A: "b" } }), "http a,b undefined");
      assert.equal(outbox.get("u", { replyAs: "r", after: 5 }), "reply r 5");
      assert.equal(Math.random(), 0);
      assert.throws(() => kv.get(""), { name: "KvError", code: "key-size", key: "" });
      assert.throws(() => kv.set("a", 1), { code: "quota" });
      assert.throws(() => objects.get("charge", "c"), {
        code: "not-granted",
        detail: "objects `stripe charge`",
      });
      assert.throws(() => outbox.emit("no.grant", 1), { code: "not-granted", detail: "the grant" });
      assert.throws(() => outbox.cancel("e"), { name: "Refused", code: "quota" });
    });
    assert.equal(payload, undefined);
  });

  test(`${name}: a failure crosses in the contract's words`, () => {
    assert.deepEqual(handle(() => reject("never")).payload, { tag: "reject", val: "never" });
    const later = handle(() => retry("later", { after: "2s" })).payload;
    assert.deepEqual(later, { tag: "retry", val: { reason: "later", after: wide(2_000) } });
    const { payload, calls } = handle(() => kv.set("a", 1));
    assert.deepEqual(payload.val, {
      reason: "kv `a`: the plugin holds as many bytes as the operator granted",
      after: undefined,
    });
    assert.equal(calls[0][0], "error");
  });
}

test("a module without a plugin is refused as it is built", () => {
  assert.throws(() => guest(undefined, {}), /default export/);
});
