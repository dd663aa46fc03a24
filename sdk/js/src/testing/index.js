// Run handlers natively: `node --test` needs no WebAssembly and no host. What the host for tests does
// not do: evaluate filters (it delivers as if they were true), limit time and memory, and start from
// a fresh instance (a module's variables keep their values).

export { Host } from "./host.js";
export { Run } from "./run.js";
export { event, fixture, raw, signalbox, stripe } from "./event.js";
export { LIMITS } from "./state.js";
