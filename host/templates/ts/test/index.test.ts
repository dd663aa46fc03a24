import assert from "node:assert/strict";
import { test } from "node:test";

import { Host, fixture, raw, stripe } from "@signalbox/sdk/testing";
import app from "../src/index";

test("charges are counted per customer", () => {
  const host = new Host();
  host.deliver(app, fixture("fixtures/charge.succeeded.json")).expectOk();
  const charge = stripe("charge.succeeded", {
    id: "ch_2",
    customer: "cus_fixture",
  });
  const run = host.deliver(app, charge).expectOk();
  assert.equal(host.get("charges/cus_fixture"), 2);
  assert.ok(run.logged("charge ch_2 is number 2 of cus_fixture"));
});

test("what is no charge is rejected", () => {
  const run = new Host().deliver(app, raw("stripe", "charge.succeeded", "{}"));
  assert.match(run.expectReject().reason ?? "", /no `data.object`/);
});
