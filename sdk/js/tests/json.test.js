// Large integers through JSON, and everything else as JSON.parse and JSON.stringify have it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { parse, stringify } from "../src/json.js";

test("a whole number beyond 2^53 is read exactly", () => {
  const read = parse('{"amount": 9007199254740993, "below":[-9007199254740993, 9007199254740991]}');
  assert.deepEqual(read, {
    amount: 9007199254740993n,
    below: [-9007199254740993n, 9007199254740991],
  });
});

test("beside a large integer everything else is read as JSON.parse reads it", () => {
  const text = String.raw`{"a":"1234567890123456 \" \\", "b\\":[ ], "c":{} ,"d":[1e3,-0,0.1,1.5e+2,12345678901234567.5,1e20,
    true,false,null,"雪 \ud83c\udf89", {"__proto__":{"x":1}}], "e":"", "a":2}`;
  assert.deepEqual(parse(text), JSON.parse(text));
  const own = parse('[1234567890123456789, {"__proto__": 1}]')[1];
  assert.ok(Object.hasOwn(own, "__proto__"));
});

test("what is no JSON is refused with or without large integers", () => {
  for (const text of [
    "",
    "{",
    "[1,]",
    "{1234567890123456789}",
    "01234567890123456",
    "[1234567890123456 1]",
  ]) {
    assert.throws(() => parse(text), SyntaxError, text);
  }
});

test("a BigInt is written as its digits, all else as JSON.stringify writes it", () => {
  const value = {
    big: 9007199254740993n,
    list: [1n, undefined, () => {}, NaN, new Date(0), { toJSON: () => "own" }],
    gone: undefined,
    boxed: Object("x"),
    'ke"y': { deep: [null, true] },
  };
  const plain = { ...value, big: 1, list: [1, ...value.list.slice(1)] };
  assert.equal(
    stringify(value),
    JSON.stringify(plain).replace('"big":1,', '"big":9007199254740993,'),
  );
  assert.equal(stringify(undefined), undefined);
  assert.deepEqual(parse(stringify(value.big)), value.big);
});

test("a value that contains itself is refused", () => {
  const round = { big: 1n };
  round.self = [round];
  assert.throws(() => stringify(round), /contains itself/);
  const twice = { n: 1n };
  assert.equal(stringify([twice, twice]), '[{"n":1},{"n":1}]');
});
