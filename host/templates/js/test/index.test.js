import assert from "node:assert/strict";
import { test } from "node:test";

import { Host, fixture, stripe } from "@signalbox/sdk/testing";
import app from "../src/index.js";

test("adds up what a customer paid", () => {
  const host = new Host();
  host.deliver(app, fixture("fixtures/charge.succeeded.json")).expectOk();
  const more = stripe("charge.succeeded", {
    id: "ch_2",
    amount: 500,
    currency: "usd",
    customer: "cus_NffrFeUfNV2Hib",
  });
  const run = host.deliver(app, more).expectOk();
  assert.equal(host.get("paid/cus_NffrFeUfNV2Hib/usd"), 2500);
  assert.ok(run.logged("2500 in all"));
});

test("rejects a charge without a customer", () => {
  const host = new Host();
  const charge = stripe("charge.succeeded", { id: "ch_3", customer: null });
  const run = host.deliver(app, charge).expectReject();
  assert.equal(run.reason, "charge ch_3 has no customer");
  assert.deepEqual(host.keys(), []);
});
