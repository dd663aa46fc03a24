// What to use instead of the things of browsers and Node.js that a plugin has not.

const network = "a plugin has no network: ask for requests with `outbox`";
const waiting = "a plugin cannot wait: use `timer.set`, or `after` of `outbox` and `retry`";
const node = "a plugin does not run in Node.js";

const INSTEAD = {
  fetch: network,
  XMLHttpRequest: network,
  WebSocket: network,
  setTimeout: waiting,
  setInterval: waiting,
  setImmediate: waiting,
  process: `${node}: read settings with \`config.get\``,
  Buffer: `${node}: use Uint8Array, TextEncoder, btoa and atob`,
  require: `${node}: import, and \`signalbox build\` bundles what was imported`,
  URL: "the engine has no URL: write addresses as text, with `encodeURIComponent`",
  Intl: "the engine has no Intl: format by hand, or bundle a library that does not need it",
  AbortController: waiting,
  WebAssembly: "a plugin is WebAssembly and cannot load any",
};

/** Advice for an error that says some name is not defined: none or one line. */
export function hint(error) {
  if (!(error instanceof ReferenceError)) return [];
  const [name] = Object.keys(INSTEAD).filter((name) =>
    new RegExp(`(^|[^\\w$])${name}([^\\w$]|$)`).test(error.message),
  );
  return name === undefined ? [] : [INSTEAD[name]];
}
