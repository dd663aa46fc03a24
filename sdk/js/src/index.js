// What a plugin's author sees of signalbox. Not the border of the sandbox (`guest`), nor the host
// for tests (`testing`): the same functions run in both.

export { plugin, Plugin } from "./plugin.js";
export { Event, Reply } from "./event.js";
export { Failure, retry, reject } from "./failure.js";
export { KvError, Refused } from "./errors.js";
export * as kv from "./kv.js";
export * as log from "./log.js";
export * as config from "./config.js";
export * as objects from "./objects.js";
export * as outbox from "./outbox.js";
export * as timer from "./timer.js";
export * as json from "./json.js";
