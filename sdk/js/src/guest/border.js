// The border of the sandbox: the component's imports as the host that `host.js` hands out. Not the
// functions an author calls.

import { KvError, Refused } from "../errors.js";

/** A host over the imports; `wide` makes a number of 64 bits. */
export function border({ log, config, kv, objects, outbox, random }, wide) {
  const delayed = (delay) => (delay === undefined ? undefined : wide(delay));
  return {
    logWrite: (level, message, attributes) => log.write(level, message, attributes),

    configGet: (key) => config.get(key) ?? undefined,
    configAll: () => config.getAll(),

    kvGet: (key) => limited(key, () => kv.get(key)) ?? undefined,
    kvSet: (key, value) => limited(key, () => kv.set(key, value)),
    kvDelete: (key) => limited(key, () => kv.delete(key)),
    kvKeys(prefix, after) {
      const { keys, next } = limited(prefix, () => kv.keys(prefix, after));
      return { keys, next: next ?? undefined };
    },

    objectsGet(provider, kind, id) {
      const object = refusable("objects", `objects \`${provider} ${kind}\``, () =>
        objects.get(provider, kind, id),
      );
      return object ? { ...object, asOf: Number(object.asOf) } : undefined;
    },

    outboxHttp: (request, delay, reply) =>
      refusable("outbox", "", () =>
        reply === undefined
          ? outbox.http(request, delayed(delay))
          : outbox.httpWithReply(request, reply, delayed(delay)),
      ),
    outboxEmit: (kind, contentType, body, delay) =>
      refusable("outbox", "", () => outbox.emit(kind, contentType, body, delayed(delay))),
    outboxCancel: (effect) => refusable("outbox", "", () => outbox.cancel(effect)),

    randomBytes: random && ((count) => random.getRandomBytes(wide(count))),
  };
}

function limited(key, call) {
  try {
    return call();
  } catch (error) {
    throw typeof error?.payload === "string" ? new KvError(error.payload, key) : error;
  }
}

/** The outbox says which grant is missing; the mirror leaves it to who asks. */
function refusable(from, grant, call) {
  try {
    return call();
  } catch (error) {
    const refusal = error?.payload;
    if (typeof refusal === "string") throw new Refused(from, refusal, grant);
    throw typeof refusal?.tag === "string" ? new Refused(from, refusal.tag, refusal.val) : error;
  }
}
