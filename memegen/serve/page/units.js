// Action units: names, sides, groups, and what pulls against what. Nothing of the page here.

/**
 * A row of the server's table.
 * @typedef {{number: number, name: string, facs: string, sides: boolean, group: string,
 *   most: number, opposite: string | null}} Unit
 * @typedef {Record<string, number>} Expression intensities 0..5 by channel (`AU12L`, `AU17`)
 */

export const MOST = 5;

/** Channels that pull one degree of freedom in opposite directions (memegen/aus.py). */
export const OPPOSITES = [
  ["AU51", "AU52"],
  ["AU53", "AU54"],
  ["AU55", "AU56"],
  ["AU61", "AU62"],
  ["AU63", "AU64"],
  ["AU30L", "AU30R"],
];

export const HEAD = new Set(["AU51", "AU52", "AU53", "AU54", "AU55", "AU56"]);
export const GAZE = new Set(["AU61", "AU62", "AU63", "AU64"]);

/** The groups that sliders stand in, from the top of a face down. */
export const GROUPS = [
  { id: "brows", title: "Brows", has: (unit) => unit.group === "brows" },
  { id: "eyes", title: "Eyes", has: (unit) => unit.group === "eyes" },
  { id: "cheeks", title: "Nose & cheeks", short: "Nose", has: (unit) => ["nose", "cheeks"].includes(unit.group) },
  { id: "mouth", title: "Mouth", has: (unit) => unit.group === "mouth" && !isJaw(unit) },
  { id: "jaw", title: "Jaw", has: (unit) => isJaw(unit) },
];

/** @param {Unit} unit jaw drop, mouth stretch, jaw sideways */
const isJaw = (unit) => [26, 27, 30].includes(unit.number);

/** The only unit that goes to one side or the other, never to both. */
export const JAW_SIDEWAYS = 30;

/** @param {Unit} unit @returns {string[]} */
export const channelsOf = (unit) => (unit.sides ? [`${unit.name}L`, `${unit.name}R`] : [unit.name]);

/** @param {string} channel @returns {string} what a person would call it */
export function sideOf(channel) {
  if (channel.endsWith("L")) return "left";
  return channel.endsWith("R") ? "right" : "";
}

/** @param {string} text @returns {string} with a capital */
export const titled = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/**
 * Values by name to values by channel; a side says more than both.
 * @param {Expression} values
 * @param {Set<string>} sided names of units that have sides (`AU12`)
 * @returns {Expression}
 */
export function byChannel(values, sided) {
  /** @type {Expression} */
  const channels = {};
  const names = Object.keys(values);
  for (const name of names.filter((each) => sided.has(each))) {
    channels[`${name}L`] = values[name];
    channels[`${name}R`] = values[name];
  }
  for (const name of names.filter((each) => !sided.has(each))) channels[name] = values[name];
  return channels;
}

/**
 * The shortest way to say the same: one name where both sides are equal.
 * @param {Expression} channels
 * @returns {Expression}
 */
export function byName(channels) {
  /** @type {Expression} */
  const named = {};
  for (const [channel, value] of Object.entries(channels)) {
    const name = channel.replace(/[LR]$/, "");
    const equal = channels[`${name}L`] === value && channels[`${name}R`] === value;
    if (equal && name !== "AU30") named[name] = value;
    else named[channel] = value;
  }
  return named;
}
