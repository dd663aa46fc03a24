// What a component's engine lacks, held to what Node.js has of it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { structuredClone as clone } from "../src/guest/clone.js";
import { console as guestConsole } from "../src/guest/console.js";
import { URLSearchParams as Params } from "../src/guest/params.js";
import { crypto, seeded } from "../src/guest/random.js";
import { TextDecoder as Decoder, TextEncoder as Encoder } from "../src/guest/text.js";
import { Host } from "../src/testing/index.js";

const TEXTS = [
  "",
  "plain",
  "é雪🎉\u0000\u2028",
  "\ufeffmarked",
  "lone \ud800 and \udc00",
  "x".repeat(20_000) + "雪",
];

test("text becomes the bytes it becomes in Node.js, and text again", () => {
  for (const text of TEXTS) {
    const bytes = new TextEncoder().encode(text);
    assert.deepEqual(new Encoder().encode(text), bytes);
    assert.equal(new Decoder().decode(bytes), new TextDecoder().decode(bytes));
    assert.equal(
      new Decoder("UTF-8", { ignoreBOM: true }).decode(bytes).length > 0,
      text.length > 0,
    );
  }
});

test("malformed bytes become U+FFFD, or are refused", () => {
  for (const bytes of [
    [0xff, 0x41],
    [0x41, 0x80, 0xe9, 0x41],
    [0xf5, 0xc0, 0xe2],
  ].map((b) => new Uint8Array(b))) {
    assert.equal(new Decoder().decode(bytes), new TextDecoder().decode(bytes));
    assert.throws(() => new Decoder("utf-8", { fatal: true }).decode(bytes), TypeError);
  }
  assert.throws(() => new Decoder("utf-16le"), /only utf-8/);
});

test("a form is encoded and read as in Node.js", () => {
  for (const init of [
    "?a=1&b=%20x+y&a=2&c&=d&e=f=g&h=%zz",
    { "ä ö": "~!'()*-._", q: "a&b=c" },
    [["x", 1]],
  ]) {
    assert.equal(String(new Params(init)), String(new URLSearchParams(init)));
    assert.deepEqual([...new Params(init)], [...new URLSearchParams(init)]);
  }
  const params = new Params("a=1&b=2&a=3");
  params.set("a", 4);
  params.append("c", "5");
  params.delete("b");
  assert.equal(String(params), "a=4&c=5");
  assert.equal(params.get("nothing"), null);
});

test("data is copied deeply, and what is no data refused", () => {
  const value = {
    list: [1, { n: 2n }],
    at: new Date(0),
    map: new Map([["k", new Set([1])]]),
    bytes: new Uint8Array([1, 2]),
  };
  value.self = value;
  const copy = clone(value);
  assert.deepEqual(copy, value);
  assert.ok(copy.self === copy && copy.list !== value.list);
  assert.throws(() => clone({ run() {} }), /cannot copy function/);
  assert.throws(() => clone(new (class Odd {})()), /an instance of Odd/);
});

test("chance comes from the host, again the same for the same seed", () => {
  const native = Math.random;
  const from = (seed) => ({
    randomBytes: (count) => Uint8Array.from({ length: count }, (_, i) => seed + i * 37),
  });
  const draw = (seed) => {
    seeded(from(seed));
    return Array.from({ length: 1_000 }, () => Math.random());
  };
  try {
    const first = draw(1);
    assert.ok(first.every((x) => x >= 0 && x < 1) && new Set(first).size === first.length);
    assert.ok(Math.abs(first.reduce((a, b) => a + b) / first.length - 0.5) < 0.05);
    assert.deepEqual(draw(1), first);
    assert.notDeepEqual(draw(2), first);
    assert.match(
      crypto.randomUUID(),
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    assert.equal(crypto.getRandomValues(new Uint32Array(2)).length, 2);
  } finally {
    Math.random = native;
  }
});

test("console writes to the log while a handler runs, and nowhere before", () => {
  guestConsole.log("too early");
  const run = new Host().run(() => {
    guestConsole.log("amount", { n: 1n }, [undefined], new Map([["a", 1]]));
    guestConsole.error(new Error("broken", { cause: new TypeError("deeper") }));
    guestConsole.assert(1 === 1, "true");
  });
  assert.deepEqual(
    run.logs.map(({ level }) => level),
    ["info", "error"],
  );
  assert.equal(run.logs[0].message, 'amount {"n":1} [null] Map [["a",1]]');
  assert.match(run.logs[1].message, /Error: broken[^]*caused by TypeError: deeper/);
});
