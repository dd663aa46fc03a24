// Counts the charges of each customer.

import { kv, log, plugin } from "@signalbox/sdk";

const app = plugin({ name: "{{name}}", version: "0.1.0" });

app.on("charge.succeeded", (event) => {
  const { id, customer } = event.object();
  const payer = customer ?? "guest";
  const count = kv.counter(`charges/${payer}`).add();
  log.info(`charge ${id} is number ${count} of ${payer}`, { customer: payer });
});

export default app;
