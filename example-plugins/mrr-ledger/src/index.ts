// Keeps the monthly recurring revenue of each currency, and how each month changed it.

import { kv, log, plugin } from "@signalbox/sdk";
import { monthly, subscription } from "./subscription.js";

/** What moved the revenue of one month. */
interface Movements {
  new: bigint;
  expansion: bigint;
  contraction: bigint;
  churn: bigint;
}

const app = plugin({
  name: "mrr-ledger",
  version: "0.1.0",
  description: "Keeps monthly recurring revenue, and what moved it",
});

app.on(
  [
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
  ],
  (event) => {
    const { id, currency, ...rest } = event.object(subscription);
    const ended = event.kind === "customer.subscription.deleted";
    const before = amount(`subscription/${id}`);
    const now = ended ? 0n : monthly({ id, currency, ...rest });
    if (now === before) return;

    if (now === 0n) kv.delete(`subscription/${id}`);
    else kv.set(`subscription/${id}`, now);
    kv.set(`mrr/${currency}`, amount(`mrr/${currency}`) + now - before);

    const month = event.occurredAt.toISOString().slice(0, 7);
    const key = `month/${month}/${currency}`;
    const movement = movementOf(before, now);
    const moved = movements(key);
    moved[movement] += now > before ? now - before : before - now;
    kv.set(key, moved);
    log.info(`${movement}: ${id} goes from ${before} to ${now} ${currency}`);
  },
);

function movementOf(before: bigint, now: bigint): keyof Movements {
  if (before === 0n) return "new";
  if (now === 0n) return "churn";
  return now > before ? "expansion" : "contraction";
}

/** Numbers of kv are numbers while they are small, and BigInts beyond. */
function amount(key: string): bigint {
  return BigInt(kv.get<number | bigint>(key) ?? 0);
}

function movements(key: string): Movements {
  const held = kv.get<Record<keyof Movements, number | bigint>>(key);
  return {
    new: BigInt(held?.new ?? 0),
    expansion: BigInt(held?.expansion ?? 0),
    contraction: BigInt(held?.contraction ?? 0),
    churn: BigInt(held?.churn ?? 0),
  };
}

export default app;
