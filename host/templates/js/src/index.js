import { kv, log, plugin, reject } from "@signalbox/sdk";

const app = plugin({
  name: "{{name}}",
  version: "0.1.0",
  description: "Adds up what each customer paid",
});

app.on("charge.succeeded", (event) => {
  const { id, amount, currency, customer } = event.object();
  if (!customer) reject(`charge ${id} has no customer`);
  const sum = kv.counter(`paid/${customer}/${currency}`).add(amount);
  log.info(`${customer} paid ${amount}, ${sum} in all`, { charge: id });
});

export default app;
