// What the host refuses. Uncaught, each asks for another attempt: the event is not at fault, and an
// operator who raises a limit or grants what is missing rescues the delivery.

const LIMITS = {
  "key-size": "the key is empty or longer than 512 bytes",
  "value-size": "the value is larger than the host allows",
  quota: "the plugin holds as many bytes as the operator granted",
  operations: "the delivery reads or writes more than the host allows",
  shape: "the stored value is not what was asked for",
  overflow: "the counter would leave the range of exact numbers",
};

/** A call on the plugin's state that did not succeed; `code` says why. */
export class KvError extends Error {
  constructor(code, key, options) {
    super(`kv \`${key}\`: ${LIMITS[code] ?? code}`, options);
    this.name = "KvError";
    this.code = code;
    this.key = key;
  }
}

const REFUSALS = {
  "not-granted": (detail) => `not granted: ${detail}`,
  invalid: (detail) => detail,
  quota: () => "the delivery asks for more than the host allows",
  operations: () => "the delivery reads more than the host allows",
};

/** What the outbox or the mirror refuses; `code` says why, `detail` names the grant or mistake. */
export class Refused extends Error {
  constructor(from, code, detail = "") {
    super(`${from}: ${REFUSALS[code]?.(detail) ?? code}`);
    this.name = "Refused";
    this.code = code;
    this.detail = detail;
  }
}
