// What a plugin says of itself, checked as it is said: a mistake fails the build, not a delivery.

import { milliseconds } from "./duration.js";

const KNOWN = ["name", "version", "description", "requests", "ordering", "concurrency", "limits"];
const CAPABILITIES = {
  http: "outbox.http",
  emit: "outbox.emit",
  objects: "objects",
  secrets: "secret",
};
const LIMITS = ["cpu", "wall", "memory"];

/** The manifest without subscriptions, in the words of the contract. */
export function manifestOf(description) {
  const { name, version, requests = {} } = named("plugin", description, KNOWN);
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name ?? "")) {
    throw new TypeError(
      `plugin: the name \`${name}\` is not lower-case kebab-case, such as \`my-plugin\``,
    );
  }
  if (!/^\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?$/.test(version ?? "")) {
    throw new TypeError(
      `plugin: the version \`${version}\` is no semantic version such as \`1.0.0\``,
    );
  }
  named("requests", requests, Object.keys(CAPABILITIES));
  const asked = Object.entries(requests).flatMap(([capability, scopes]) =>
    [scopes].flat().map((scope) => ({ capability: CAPABILITIES[capability], scope })),
  );
  return { name, version, requests: asked, attributes: attributesOf(description) };
}

function attributesOf({ description, ordering, concurrency, limits = {} }) {
  const { cpu, wall, memory } = named("limits", limits, LIMITS);
  const time = (limit) => (limit === undefined ? undefined : `${milliseconds(limit)}ms`);
  const all = [
    ["description", description],
    ["ordering", ordering],
    ["concurrency", concurrency],
    ["limit-cpu", time(cpu)],
    ["limit-wall", time(wall)],
    ["limit-memory", memory],
  ];
  return all.filter(([, value]) => value !== undefined).map(([key, value]) => [key, String(value)]);
}

/** The object, if it has no other names than these. */
function named(what, object, names) {
  if (typeof object !== "object" || object === null) {
    throw new TypeError(`${what}: give an object with ${names.join(", ")}`);
  }
  const stranger = Object.keys(object).find((name) => !names.includes(name));
  if (stranger === undefined) return object;
  throw new TypeError(`${what}: there is no \`${stranger}\`; there are ${names.join(", ")}`);
}
