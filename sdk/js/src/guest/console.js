// `console` as a way to the log. What is written while the plugin is built goes nowhere.

import { running } from "../host.js";
import { write } from "../log.js";
import { show } from "../show.js";

const to =
  (level) =>
  (...values) => {
    if (running()) write(level, values.map(show).join(" "));
  };
const nothing = () => {};

export const console = {
  log: to("info"),
  info: to("info"),
  debug: to("debug"),
  warn: to("warn"),
  error: to("error"),
  dir: to("info"),
  table: to("info"),
  trace: (...values) => to("debug")(...values, new Error("console.trace").stack ?? ""),
  assert: (condition, ...values) => {
    if (!condition) to("error")("assertion failed", ...values);
  },
  group: to("info"),
  groupEnd: nothing,
  time: nothing,
  timeEnd: nothing,
  count: nothing,
};
