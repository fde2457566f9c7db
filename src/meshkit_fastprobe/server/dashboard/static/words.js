// Values as people read them: the same words and marks as on the terminal. No colour is ever the only carrier of meaning.

export const STATES = ["unhealthy", "degraded", "unknown", "paused", "healthy"];
/** Worst first. */
export const SEVERITY = Object.fromEntries(STATES.map((state, rank) => [state, rank]));
export const MARKS = { healthy: "●", degraded: "▲", unhealthy: "✖", unknown: "○", paused: "❚" };
export const FLAGS = ["stale", "suppressed", "flapping", "maintenance"];

/** Three figures and a unit: 128 µs, 4.21 ms, 1.20 s. */
export function latency(seconds) {
  if (seconds === undefined || seconds === null) return "–";
  const [unit, scale] = seconds >= 1 ? ["s", 1] : seconds >= 1e-3 ? ["ms", 1e-3] : ["µs", 1e-6];
  const value = seconds / scale;
  return `${value >= 99.95 ? value.toFixed(0) : value >= 9.995 ? value.toFixed(1) : value.toFixed(2)} ${unit}`;
}

/** A quantile of an item of the wire; one beyond the histogram (among the timeouts) has no number. */
export function quantile(item, name) {
  return (item.beyondRange ?? []).includes(name) ? "timeout" : latency(item[`${name}Seconds`]);
}

/** At most two units: 5s, 3m10s, 2h05m, 4d07h. */
export function age(milliseconds) {
  const whole = Math.max(0, Math.floor(milliseconds / 1000));
  const two = (number) => String(number).padStart(2, "0");
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)}h${two(Math.floor((whole % 3600) / 60))}m`;
  return `${Math.floor(whole / 86400)}d${two(Math.floor((whole % 86400) / 3600))}h`;
}

/** How long something is to last: whole seconds as an age, 250 ms and 1.50 s as they are. */
export function lasting(seconds) {
  return Number.isInteger(seconds) ? age(seconds * 1000) : latency(seconds);
}

const number = new Intl.NumberFormat("en");

export function count(value) {
  return number.format(value);
}

/** 100 % only when nothing is missing, 0 % only when nothing is there. */
export function share(ratio) {
  if (ratio === undefined || ratio === null) return "–";
  const percent = ratio * 100;
  if (percent > 99.9 && ratio < 1) return "99.9 %";
  return `${percent >= 99.95 || percent < 0.05 ? percent.toFixed(0) : percent.toFixed(1)} %`;
}

/** The time of day here, and the date when it is another day. */
export function moment(stamp) {
  const then = new Date(stamp);
  const time = then.toLocaleTimeString("en-GB");
  return then.toDateString() === new Date().toDateString() ? time : `${then.toLocaleDateString("sv-SE")} ${time}`;
}

export function plural(number, word) {
  return `${count(number)} ${word}${number === 1 ? "" : "s"}`;
}
