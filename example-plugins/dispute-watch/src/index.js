// Tells a Discord channel of each dispute, and again before the time to answer it runs out.

import { config, kv, log, outbox, plugin, reject, timer } from "@signalbox/sdk";

const app = plugin({
  name: "dispute-watch",
  version: "0.1.0",
  description: "Tells Discord of disputes, and reminds before evidence is due",
  requests: {
    http: "POST https://discord.com/api/webhooks/*",
    emit: "evidence.due",
  },
});

const HOUR = 3_600_000;

app.on("charge.dispute.created", (event) => {
  const dispute = event.object();
  const due = dispute.evidence_details?.due_by;
  tell(`New dispute of ${money(dispute)} (${dispute.reason}), ${dispute.id}.`);
  if (!due) return;
  const early = (config.number("remind_hours") ?? 48) * HOUR;
  const after = Math.max(0, due * 1000 - early - event.receivedAt.getTime());
  const reminder = timer.set("evidence.due", dispute, after);
  kv.set(`open/${dispute.id}`, { reminder, due });
});

app.on("charge.dispute.updated", (event) => {
  const { id, evidence_details: evidence } = event.object();
  if (evidence?.has_evidence && forget(id)) log.info(`${id} was answered`);
});

app.on("charge.dispute.closed", (event) => {
  const dispute = event.object();
  forget(dispute.id);
  const outcome = dispute.status === "won" ? "won" : "lost";
  kv.counter(outcome).add();
  tell(`Dispute of ${money(dispute)} ${outcome}, ${dispute.id}.`);
});

app.on(
  "evidence.due",
  (event) => {
    const dispute = event.json();
    const { due } = kv.get(`open/${dispute.id}`) ?? {};
    if (!due) return;
    kv.delete(`open/${dispute.id}`);
    const date = new Date(due * 1000).toISOString().slice(0, 16);
    tell(`Answer ${dispute.id} (${money(dispute)}) before ${date} UTC.`);
  },
  { provider: app.name },
);

/** Nobody has to be reminded any more. Whether somebody had to. */
function forget(id) {
  const open = kv.get(`open/${id}`);
  if (!open) return false;
  timer.cancel(open.reminder);
  kv.delete(`open/${id}`);
  return true;
}

function tell(content) {
  outbox.post(config.required("webhook"), { json: { content } });
}

/** Currencies whose smallest unit is the whole one. */
const WHOLE = new Set(["clp", "jpy", "krw", "pyg", "ugx", "vnd", "xaf", "xof"]);

function money({ amount, currency }) {
  if (typeof currency !== "string") reject("the dispute has no currency");
  const text = WHOLE.has(currency) ? `${amount}` : (amount / 100).toFixed(2);
  return `${text} ${currency.toUpperCase()}`;
}

export default app;
