// The types for completion are the types that Stripe's fixtures have.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");

test("every type of Stripe's events completes", () => {
  const known = read("../../../tests/fixtures/stripe/event_types.txt").trim().split("\n");
  const completed = [...read("../types/stripe.d.ts").matchAll(/\| "([^"]+)"/g)].map(
    ([, kind]) => kind,
  );
  assert.deepEqual(completed, known);
});
