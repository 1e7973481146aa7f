// A clip's frames as few keyframes (Ramer, Douglas & Peucker 1972-73, over expressions in time).

import { rounded } from "./dom.js";

/** @typedef {{time: number, expression: Record<string, number>}} Sample */

const TOLERANCE = 0.6; // of 5: no channel is further off between two keyframes
const APART = 0.1; // seconds between keyframes, at least
const MOST_SECONDS = 30; // of a clip that are taken
let counted = 1e6; // numbers of keyframes, apart from those of the recipe

/**
 * Keyframes, linear in between, from which no channel of any sample is further off than TOLERANCE,
 * unless that would take two of them nearer than APART.
 * @param {Sample[]} samples in time, all of the same channels
 * @returns {import("./track.js").Keyframe[]}
 */
export function simplified(samples) {
  const taken = samples.filter((each) => each.time <= MOST_SECONDS);
  const kept = new Set([0, taken.length - 1]);
  const parts = [[0, taken.length - 1]];
  for (let part = parts.pop(); part; part = parts.pop()) {
    const [first, last] = part;
    const { index, miss } = worst(taken, first, last);
    if (miss <= TOLERANCE) continue;
    kept.add(index);
    parts.push([first, index], [index, last]);
  }
  const keyframes = [];
  for (const index of [...kept].sort((a, b) => a - b)) {
    const { time, expression } = taken[index];
    const before = keyframes[keyframes.length - 1];
    if (before && time - before.at < APART) continue;
    keyframes.push({ id: ++counted, at: rounded(time), ease: "linear", hold: 0, expression, offset: {} });
  }
  return keyframes;
}

/**
 * The sample that is furthest off the straight way between two others.
 * @param {Sample[]} samples
 * @param {number} first
 * @param {number} last
 */
function worst(samples, first, last) {
  let [index, miss] = [first, 0];
  const [from, to] = [samples[first], samples[last]];
  for (let i = first + 1; i < last; i++) {
    const share = (samples[i].time - from.time) / (to.time - from.time);
    for (const channel of Object.keys(from.expression)) {
      const straight = from.expression[channel] + share * (to.expression[channel] - from.expression[channel]);
      const off = Math.abs(samples[i].expression[channel] - straight);
      if (off > miss) [index, miss] = [i, off];
    }
  }
  return { index, miss };
}
