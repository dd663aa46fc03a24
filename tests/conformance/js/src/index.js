// The conformance plugin in JavaScript: one function for each case of the suite. No example.

import { Refused, config, kv, log, objects, outbox, plugin, reject, retry } from "@signalbox/sdk";

const app = plugin({
  name: "conformance-js",
  version: "0.1.0",
  description: "Shows the conformance suite what JavaScript can do",
  requests: { emit: "echo.*", objects: "stripe customer" },
});
const own = { provider: app.name };

const subscribed = (event) => kv.setText(`subscribed/${event.kind}`, event.id);
app.on(["conformance.subscribed", "conformance.other"], subscribed);
app.on("conformance.family.*", subscribed);

app.on("conformance.filtered", (event) => kv.setText(`filtered/${event.id}`, "seen"), {
  filter: "event.data.object.amount > 100",
});

app.on("conformance.kv", () => {
  kv.setText("kv/a", "1");
  kv.setText("kv/b", "2");
  kv.setText("kv/c", "3");
  kv.delete("kv/b");
  kv.setText("kv-list", [...kv.keys("kv/")].join(","));
  if (kv.getText("kv/b") !== undefined) reject("an absent key is something");
  kv.counter("kv-count").add();
});

app.on("conformance.retry", (_, { attempt }) => {
  if (attempt === 1) retry("not yet", { after: "50ms" });
  kv.setText("retry", String(attempt));
});

app.on("conformance.reject", () => reject("no such thing 雪"));

app.on("conformance.uncaught", () => {
  kv.setText("uncaught", "1");
  throw new Error("boom 雪");
});

app.on("conformance.silent", async () => {
  kv.setText("silent", "1");
  await undefined;
  throw new Error("nobody hears this");
});

app.on("conformance.large", (event) => {
  kv.setText("large", `${event.body.length}:${event.object().padding.length}`);
});

app.on("conformance.unicode", (event) => kv.setText("unicode", event.object().text));

app.on("conformance.bigint", (event) => {
  kv.setText("bigint", String(event.object().amount + 1n));
});

app.on("conformance.emit", () => {
  outbox.emitRaw("echo.empty", "text/plain", "");
});

app.on("echo.empty", (event) => kv.setText("empty", String(event.body.length)), own);

app.on("conformance.outbox", (event) => {
  const sink = config.required("sink");
  kv.setText("effect", outbox.post(sink, { contentType: "text/plain", body: event.id }));
  try {
    outbox.emit("forbidden.kind", {});
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    kv.setText("refused", error.code);
  }
});

app.on("conformance.reply", () => {
  outbox.post(config.required("sink"), { body: "ping", replyAs: "echo.reply" });
});

app.on(
  "echo.reply",
  (event) => {
    const reply = event.reply() ?? reject("no reply");
    kv.setText("reply", `${reply.status}:${reply.text()}`);
  },
  own,
);

app.on("conformance.objects", (event) => {
  const found = objects.get("customer", event.object().customer) ?? reject("no customer");
  kv.setText("object", `${found.id}:${found.body.name}`);
  try {
    objects.get("charge", "ch_1");
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    kv.setText("object-refused", error.code);
  }
  const absent = objects.get("customer", "cus_absent");
  kv.setText("object-absent", absent === undefined ? "none" : "some");
});

app.on("conformance.config", () => kv.setText("config", config.required("greeting")));

app.on("conformance.log", () => log.info("hello 雪", { kind: "log" }));

app.on("conformance.noop", () => {});

export default app;
