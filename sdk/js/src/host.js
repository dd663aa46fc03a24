// The host that runs the handler under way: the sandbox's border, or a test's. A plugin imports
// functions, not a host, so the functions find it here. Nothing outlives a run.

let current;

/** The host, for a function of this name. */
export function host(call) {
  if (current) return current;
  throw new Error(
    `\`${call}\` was called while no handler runs. Call it within a handler: the top level of a ` +
      "module runs once, when the plugin is built. In a test wrap the call in `host.run(() => ...)`",
  );
}

/** Whether a handler runs. */
export function running() {
  return current !== undefined;
}

/** Run with this host. */
export function within(entered, run) {
  const outer = current;
  current = entered;
  try {
    return run();
  } finally {
    current = outer;
  }
}
