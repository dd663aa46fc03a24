import assert from "node:assert/strict";
import { test } from "node:test";

import { Host, stripe } from "@signalbox/sdk/testing";
import app from "../src/index";

type Change = "created" | "updated" | "deleted";

function change(kind: Change, unit_amount: number | bigint, more: object = {}) {
  const price = {
    unit_amount,
    recurring: { interval: "month", interval_count: 1 },
  };
  const object = {
    id: "sub_1",
    status: "active",
    currency: "eur",
    items: { data: [{ quantity: 2, price }] },
    ...more,
  };
  return stripe(`customer.subscription.${kind}`, object);
}

test("revenue follows a subscription through its life", () => {
  const host = new Host();
  host.deliver(app, change("created", 1000)).expectOk();
  host.deliver(app, change("updated", 1500)).expectOk();
  host.deliver(app, change("updated", 1200)).expectOk();
  assert.equal(host.get("mrr/eur"), 2400);
  host.deliver(app, change("deleted", 1200)).expectOk();
  assert.equal(host.get("mrr/eur"), 0);
  const [month] = host.keys().filter((key) => key.startsWith("month/"));
  assert.deepEqual(host.get(month ?? ""), {
    new: 2000,
    expansion: 1000,
    contraction: 600,
    churn: 2400,
  });
});

test("amounts beyond 2^53 stay exact", () => {
  const host = new Host();
  host.deliver(app, change("created", 9007199254740993n)).expectOk();
  assert.equal(host.get("mrr/eur"), 18014398509481986n);
});

test("a trial brings nothing, and a year a twelfth", () => {
  const host = new Host();
  host.deliver(app, change("created", 1000, { status: "trialing" })).expectOk();
  assert.deepEqual(host.keys(), []);
  const price = {
    unit_amount: 12_000,
    recurring: { interval: "year", interval_count: 1 },
  };
  const items = { data: [{ price }] };
  host.deliver(app, change("updated", 0, { items })).expectOk();
  assert.equal(host.get("mrr/eur"), 1000);
});

test("what is no subscription is rejected", () => {
  const event = stripe("customer.subscription.created", { id: "sub_1" });
  const run = new Host().deliver(app, event).expectReject();
  assert.match(run.reason ?? "", /not as expected: no subscription/);
});
