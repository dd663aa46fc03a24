// Chance in a component. QuickJS keeps its seed in the component's snapshot, so every run would draw
// the same numbers; here they come from the host, which derives them from the delivery and the
// attempt: a run can be repeated, and no two deliveries draw alike.

let bytesOf;
let state;

/** Draw from this host from now on, if its engine leaves that to us. */
export function seeded(host) {
  if (!host.randomBytes) return;
  bytesOf = host.randomBytes;
  state = undefined;
  Math.random = random;
}

function random() {
  state ??= new Uint32Array(Uint8Array.from(bytesOf(16)).buffer);
  // 53 bits, as many as a number between 0 and 1 holds.
  return (next() * 2 ** 21 + (next() >>> 11)) / 2 ** 53;
}

/** xoshiro128++ by Blackman and Vigna. */
function next() {
  const sum = (state[0] + state[3]) | 0;
  const result = (((sum << 7) | (sum >>> 25)) + state[0]) >>> 0;
  const shifted = state[1] << 9;
  state[2] ^= state[0];
  state[3] ^= state[1];
  state[1] ^= state[2];
  state[0] ^= state[3];
  state[2] ^= shifted;
  state[3] = (state[3] << 11) | (state[3] >>> 21);
  return result;
}

/** Most bytes of one call, as browsers have it. */
const MOST = 65_536;

function getRandomValues(array) {
  if (!bytesOf)
    throw new Error("crypto: call it within a handler, not at the top level of a module");
  if (array.byteLength > MOST)
    throw new RangeError(`crypto.getRandomValues: at most ${MOST} bytes`);
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  if (bytes.length > 0) bytes.set(bytesOf(bytes.length));
  return array;
}

function randomUUID() {
  const bytes = getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** What there is of Web Crypto. */
export const crypto = { getRandomValues, randomUUID };
