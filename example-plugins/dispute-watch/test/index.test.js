import assert from "node:assert/strict";
import { test } from "node:test";

import { Host, stripe } from "@signalbox/sdk/testing";
import app from "../src/index.js";

const webhook = "https://discord.com/api/webhooks/1/token";
const host = () => new Host({ settings: { webhook } });
// `stripe` dates its events so.
const created = 1_795_400_000;
const dispute = {
  id: "dp_1",
  amount: 1250,
  currency: "eur",
  reason: "fraudulent",
  status: "needs_response",
  evidence_details: { due_by: created + 7 * 86_400, has_evidence: false },
};
const event = (kind, change) =>
  stripe(`charge.dispute.${kind}`, { ...dispute, ...change }, { id: kind });

test("a dispute is told, and told again two days before evidence is due", () => {
  const box = host();
  const [told, reminder] = box
    .deliver(app, event("created"))
    .expectOk().effects;
  assert.equal(told.url, webhook);
  assert.match(told.json().content, /12.50 EUR \(fraudulent\), dp_1/);
  assert.equal(reminder.delay, 5 * 86_400_000);
  const [last] = box.fire(app, reminder).expectOk().effects;
  assert.match(last.json().content, /Answer dp_1 \(12.50 EUR\) before 2026-/);
  assert.deepEqual(box.keys(), []);
});

test("an answer ends the reminding", () => {
  const box = host();
  box.deliver(app, event("created")).expectOk();
  const evidence_details = { has_evidence: true };
  box.deliver(app, event("updated", { evidence_details })).expectOk();
  assert.deepEqual(
    box.effects.map(({ status }) => status),
    ["waiting", "cancelled"],
  );
});

test("the end is told and counted", () => {
  const box = host();
  box.deliver(app, event("created")).expectOk();
  box.deliver(app, event("closed", { status: "won" })).expectOk();
  assert.equal(box.get("won"), 1);
  assert.deepEqual(box.keys(), ["won"]);
});

test("without the operator's webhook it is tried again later", () => {
  const run = new Host().deliver(app, event("created")).expectRetry();
  assert.match(run.reason, /`webhook` is missing/);
});
