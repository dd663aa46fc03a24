// structuredClone of data: plain objects, arrays, dates, maps, sets, bytes. Not of class instances,
// errors and functions, which it refuses.

export function structuredClone(value) {
  return clone(value, new Map());
}

function clone(value, done) {
  if (typeof value === "function" || typeof value === "symbol") throw uncloneable(value);
  if (typeof value !== "object" || value === null) return value;
  if (done.has(value)) return done.get(value);
  const keep = (copy) => {
    done.set(value, copy);
    return copy;
  };
  if (value instanceof Date) return keep(new Date(value));
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) return keep(value.slice());
  if (Array.isArray(value)) {
    const copy = keep(new Array(value.length));
    for (const [at, item] of value.entries()) copy[at] = clone(item, done);
    return copy;
  }
  if (value instanceof Map) {
    const copy = keep(new Map());
    for (const [key, item] of value) copy.set(clone(key, done), clone(item, done));
    return copy;
  }
  if (value instanceof Set) {
    const copy = keep(new Set());
    for (const item of value) copy.add(clone(item, done));
    return copy;
  }
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw uncloneable(value);
  const copy = keep({});
  for (const key of Object.keys(value)) copy[key] = clone(value[key], done);
  return copy;
}

function uncloneable(value) {
  const what =
    typeof value === "object" ? `an instance of ${value.constructor?.name}` : typeof value;
  return new TypeError(`structuredClone: a plugin's cannot copy ${what}`);
}
