// URLSearchParams: the body of a form, and the query of an address.

export class URLSearchParams {
  #pairs = [];

  constructor(init = "") {
    if (typeof init === "string") {
      const parts = init.replace(/^\?/, "").split("&").filter(Boolean);
      for (const part of parts) {
        const [name, ...value] = part.split("=");
        this.append(decoded(name), decoded(value.join("=")));
      }
    } else {
      const pairs = typeof init[Symbol.iterator] === "function" ? init : Object.entries(init);
      for (const [name, value] of pairs) this.append(name, value);
    }
  }

  get size() {
    return this.#pairs.length;
  }

  append(name, value) {
    this.#pairs.push([String(name), String(value)]);
  }

  delete(name) {
    this.#pairs = this.#pairs.filter(([held]) => held !== name);
  }

  get(name) {
    return this.#pairs.find(([held]) => held === name)?.[1] ?? null;
  }

  getAll(name) {
    return this.#pairs.filter(([held]) => held === name).map(([, value]) => value);
  }

  has(name) {
    return this.#pairs.some(([held]) => held === name);
  }

  set(name, value) {
    const first = this.#pairs.findIndex(([held]) => held === name);
    if (first === -1) {
      this.append(name, value);
    } else {
      this.#pairs[first][1] = String(value);
      this.#pairs = this.#pairs.filter(([held], at) => held !== name || at === first);
    }
  }

  sort() {
    this.#pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  }

  forEach(visit) {
    for (const [name, value] of this.#pairs) visit(value, name, this);
  }

  keys() {
    return this.#pairs.map(([name]) => name)[Symbol.iterator]();
  }

  values() {
    return this.#pairs.map(([, value]) => value)[Symbol.iterator]();
  }

  entries() {
    return this.#pairs.map((pair) => [...pair])[Symbol.iterator]();
  }

  [Symbol.iterator]() {
    return this.entries();
  }

  toString() {
    return this.#pairs.map((pair) => pair.map(encoded).join("=")).join("&");
  }
}

/** As forms are encoded: a space is a plus, and of the marks only `*-._` stand for themselves. */
function encoded(text) {
  const hex = (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(text)
    .replace(/[!'()~]/g, hex)
    .replace(/%20/g, "+");
}

function decoded(text) {
  const spaced = text.replace(/\+/g, " ");
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
}
