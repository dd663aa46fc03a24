// Patterns over event types, as the contract's `handler.subscription.kind` says.

/** Whether the pattern holds the type. */
export function holds(pattern, kind) {
  if (!pattern.endsWith("*")) return kind === pattern;
  const prefix = pattern.slice(0, -1);
  return kind.length > prefix.length && kind.startsWith(prefix);
}

/** Whether some type is in both patterns. */
export function overlap(a, b) {
  const shorter = Math.min(a.length, b.length);
  for (let at = 0; at < shorter; at += 1) {
    if (a[at] === "*" || b[at] === "*") return true;
    if (a[at] !== b[at]) return false;
  }
  return a.length === b.length;
}
