// What authors and libraries expect of the global object and the engine lacks. What is there stays.
// Not everything of a browser: see `hints.js` for what a plugin uses instead of the rest.

import { console } from "./console.js";
import { crypto } from "./random.js";
import { TextDecoder, TextEncoder } from "./text.js";
import { URLSearchParams } from "./params.js";
import { structuredClone } from "./clone.js";

// The engine's console, if it has one, knows nothing of the log's levels.
globalThis.console = console;

const lacking = { TextEncoder, TextDecoder, URLSearchParams, structuredClone, crypto };
for (const [name, value] of Object.entries(lacking)) {
  if (globalThis[name] !== undefined) continue;
  Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
}
