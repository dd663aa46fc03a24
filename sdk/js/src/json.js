// JSON without the loss of large integers: a whole number beyond 2^53 is read as a BigInt, and a
// BigInt is written as the digits it is. Everything else is JSON.parse and JSON.stringify.

/** The value of a JSON text. */
export function parse(text) {
  const value = JSON.parse(text);
  return lossy(value) ? new Reader(text).value() : value;
}

/** Whether some number may stand for another one that was in the text. */
function lossy(value) {
  if (typeof value === "number") return Number.isInteger(value) && !Number.isSafeInteger(value);
  if (typeof value !== "object" || value === null) return false;
  for (const key in value) if (lossy(value[key])) return true;
  return false;
}

/** A value as JSON, undefined when JSON has no word for it. */
export function stringify(value) {
  try {
    return JSON.stringify(value);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // A BigInt or a cycle.
    return write(value, "", []);
  }
}

const SPACE = /[\t\n\r ]*/y;
const NUMBER = /-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const WORD = /true|false|null/y;

/** Reads what JSON.parse has found well-formed, so nothing is checked here. */
class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  value() {
    switch (this.peek()) {
      case "{":
        return this.object();
      case "[":
        return this.array();
      case '"':
        return this.string();
      case "t":
      case "f":
      case "n":
        return JSON.parse(this.match(WORD)[0]);
      default:
        return this.number();
    }
  }

  object() {
    const object = {};
    this.at += 1;
    if (this.ends("}")) return object;
    do {
      this.peek();
      const key = this.string();
      this.peek();
      this.at += 1;
      // Not an assignment: `__proto__` is a key like any other.
      const property = {
        value: this.value(),
        writable: true,
        enumerable: true,
        configurable: true,
      };
      Object.defineProperty(object, key, property);
    } while (!this.ends("}"));
    return object;
  }

  array() {
    const array = [];
    this.at += 1;
    if (this.ends("]")) return array;
    do array.push(this.value());
    while (!this.ends("]"));
    return array;
  }

  string() {
    let end = this.at;
    do end = this.text.indexOf('"', end + 1);
    while (this.escaped(end));
    const string = JSON.parse(this.text.slice(this.at, end + 1));
    this.at = end + 1;
    return string;
  }

  number() {
    const [text, fraction, exponent] = this.match(NUMBER);
    const number = Number(text);
    const whole = fraction === undefined && exponent === undefined;
    return !whole || Number.isSafeInteger(number) ? number : BigInt(text);
  }

  /** Whether an odd number of backslashes stands before this place. */
  escaped(place) {
    let before = place;
    while (this.text[before - 1] === "\\") before -= 1;
    return (place - before) % 2 === 1;
  }

  /** Step over the end, or over the comma before the next item. */
  ends(mark) {
    const ended = this.peek() === mark;
    if (ended || this.text[this.at] === ",") this.at += 1;
    return ended;
  }

  peek() {
    this.match(SPACE);
    return this.text[this.at];
  }

  match(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    this.at = pattern.lastIndex;
    return found;
  }
}

/** As JSON.stringify writes, and a BigInt as its digits. */
function write(given, key, above) {
  let value = given;
  if (typeof value !== "bigint" && typeof value?.toJSON === "function") value = value.toJSON(key);
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null || isBoxed(value)) return JSON.stringify(value);
  if (above.includes(value)) throw new TypeError("a value that contains itself is no JSON");
  const path = [...above, value];
  if (Array.isArray(value)) {
    return `[${value.map((item, index) => write(item, String(index), path) ?? "null").join(",")}]`;
  }
  const members = Object.keys(value).flatMap((name) => {
    const text = write(value[name], name, path);
    return text === undefined ? [] : [`${JSON.stringify(name)}:${text}`];
  });
  return `{${members.join(",")}}`;
}

function isBoxed(value) {
  return value instanceof Number || value instanceof String || value instanceof Boolean;
}
