// TextEncoder and TextDecoder for UTF-8. Not for other encodings, and not for streams.

import { decodePlain, encodePlain } from "../utf8.js";

export class TextEncoder {
  get encoding() {
    return "utf-8";
  }

  encode(text = "") {
    return encodePlain(String(text));
  }
}

export class TextDecoder {
  constructor(label = "utf-8", { fatal = false, ignoreBOM = false } = {}) {
    if (!/^\s*(utf-?8|unicode-1-1-utf-8)\s*$/i.test(label)) {
      throw new RangeError(`TextDecoder: \`${label}\` is not supported in a plugin, only utf-8`);
    }
    Object.assign(this, { encoding: "utf-8", fatal, ignoreBOM });
  }

  decode(input = new Uint8Array(), { stream = false } = {}) {
    if (stream)
      throw new TypeError("TextDecoder: a plugin's decoder takes whole texts, no streams");
    const bytes = ArrayBuffer.isView(input)
      ? new Uint8Array(input.buffer, input.byteOffset, input.byteLength)
      : new Uint8Array(input);
    const text = decodePlain(bytes, this.fatal);
    return !this.ignoreBOM && text.startsWith("\ufeff") ? text.slice(1) : text;
  }
}
