// Text and bytes. The sandbox's engine has no TextEncoder and no TextDecoder; where they are, in a
// test, they are used.

const CHUNK = 8_192;

/** Text as UTF-8. */
export function encode(text) {
  return typeof TextEncoder === "function" ? new TextEncoder().encode(text) : encodePlain(text);
}

/** UTF-8 as text; what is malformed becomes U+FFFD. A byte order mark is kept. */
export function decode(bytes) {
  return typeof TextDecoder === "function"
    ? new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes)
    : decodePlain(bytes);
}

/** `encode` with what every engine has. */
export function encodePlain(text) {
  const narrow = WIDE.test(text)
    ? unescape(encodeURIComponent(text.toWellFormed?.() ?? text))
    : text;
  // By way of Base64 where it can be: the engine's own loops are twenty times as fast.
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(btoa(narrow));
  const bytes = new Uint8Array(narrow.length);
  for (let at = 0; at < narrow.length; at += 1) bytes[at] = narrow.charCodeAt(at);
  return bytes;
}

/** `decode` with what every engine has. */
export function decodePlain(bytes, fatal = false) {
  const narrow = narrowOf(bytes);
  if (!WIDE.test(narrow)) return narrow;
  try {
    return decodeURIComponent(escape(narrow));
  } catch {
    if (fatal) throw new TypeError("the bytes are no UTF-8");
    return mend(narrow);
  }
}

/** More than ASCII. (Of the whole text at once the engine would keep a way back for each character.) */
const WIDE = /[^\x00-\x7f]/;

/** One character a byte. */
function narrowOf(bytes) {
  if (bytes.toBase64) return atob(bytes.toBase64());
  let narrow = "";
  for (let at = 0; at < bytes.length; at += CHUNK) {
    narrow += String.fromCharCode.apply(null, bytes.subarray(at, at + CHUNK));
  }
  return narrow;
}

const WELL_FORMED =
  /[\x00-\x7f]+|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}/y;

/** Sequence by sequence: each byte that belongs to none becomes U+FFFD. */
function mend(narrow) {
  let text = "";
  for (let at = 0; at < narrow.length;) {
    WELL_FORMED.lastIndex = at;
    const found = WELL_FORMED.exec(narrow);
    text += found ? decodeURIComponent(escape(found[0])) : "\ufffd";
    at += found ? found[0].length : 1;
  }
  return text;
}

/** A body as bytes: text is encoded, bytes are taken as they are. */
export function bytesOf(body, what) {
  if (typeof body === "string") return encode(body);
  if (body instanceof Uint8Array) return body;
  if (body instanceof ArrayBuffer) return new Uint8Array(body);
  throw new TypeError(`${what} is neither text nor a Uint8Array`);
}
