// Lengths of time as authors write them. Not the host's bounds on them.

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Whole milliseconds of `1500`, `"50ms"`, `"10s"`, `"5m"`, `"2h"` or `"7d"`. */
export function milliseconds(length) {
  if (typeof length === "number" && Number.isFinite(length) && length >= 0) {
    return Math.ceil(length);
  }
  const [, count, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(String(length)) ?? [];
  if (typeof length !== "string" || unit === undefined) {
    throw new TypeError(
      `${JSON.stringify(length) ?? String(length)} is no length of time: give milliseconds as a ` +
        'number, or text such as "50ms", "10s", "5m", "2h", "7d"',
    );
  }
  return Math.ceil(Number(count) * UNITS[unit]);
}
