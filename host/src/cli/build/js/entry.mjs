// Written by `signalbox build`: the component's exports, made of the plugin.
import * as config from "signalbox:plugin/config@0.1.0";
import * as kv from "signalbox:plugin/kv@0.1.0";
import * as log from "signalbox:plugin/log@0.1.0";
import * as objects from "signalbox:plugin/objects@0.1.0";
import * as outbox from "signalbox:plugin/outbox@0.1.0";
{{random}}
import { guest } from "@signalbox/sdk/guest";
import plugin from "{{plugin}}";

// One engine gives an interface as the default export, the other as names.
const interfaceOf = (module) => module?.default ?? module;

export const handler = guest(plugin, {
  config: interfaceOf(config),
  kv: interfaceOf(kv),
  log: interfaceOf(log),
  objects: interfaceOf(objects),
  outbox: interfaceOf(outbox),
  random: interfaceOf(random),
});
