// What the face reaches at a time: the same sums as memegen/recipes.py and memegen/tracks.py, which
// tests/test_studio.py compares with these.

import { HEAD, MOST, OPPOSITES } from "./units.js";

/**
 * @typedef {import("./units.js").Expression} Expression
 * @typedef {{id: number, at: number, ease: string, hold: number, expression: Expression,
 *   offset: Expression}} Keyframe
 * @typedef {"once" | "loop" | "boomerang"} Loop
 * @typedef {{keyframes: Keyframe[], loop: Loop, fps: number}} Timeline
 * A channel is `keep * the photo's own + add`: [keep, add], intensities 0..5. What is not named is
 * [1, 0]: the photo's own.
 * @typedef {Map<string, [number, number]>} Pose
 */

/** Seconds of the way back that makes a loop seamless. */
const CLOSING = 0.3;
/** @type {[number, number]} */
const OWN = [1, 0];

/** @type {Record<string, (t: number) => number>} */
export const EASES = {
  linear: (t) => t,
  in: (t) => t * t,
  out: (t) => t * (2 - t),
  "in-out": (t) => t * t * (3 - 2 * t),
  overshoot: (t) => 1 + 2.2 * (t - 1) ** 3 + 1.2 * (t - 1) ** 2,
  step: (t) => Number(t >= 1),
};

/** @param {Keyframe} frame @returns {Pose} */
export function poseOf(frame) {
  /** @type {Pose} */
  const pose = new Map();
  for (const [channel, value] of Object.entries(frame.expression)) pose.set(channel, [0, value]);
  for (const [one, other] of OPPOSITES) {
    // A head asked to look right stops looking left.
    if (one in frame.expression && !(other in frame.expression)) pose.set(other, [0, 0]);
    if (other in frame.expression && !(one in frame.expression)) pose.set(one, [0, 0]);
  }
  for (const [channel, value] of Object.entries(frame.offset)) {
    const [keep, add] = pose.get(channel) ?? OWN;
    pose.set(channel, [keep, add + value]);
  }
  return pose;
}

/** @param {Keyframe} frame the end of it */
export const endOf = (frame) => frame.at + frame.hold;

/** @param {Timeline} timeline seconds from 0 to the end of the last keyframe */
export const lengthOf = (timeline) => endOf(timeline.keyframes[timeline.keyframes.length - 1]);

/** @param {Expression} a @param {Expression} b */
function equal(a, b) {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

/**
 * Keyframes from 0 s on, and where it loops, to how it began.
 * @param {Timeline} timeline
 * @returns {Keyframe[]}
 */
export function wholeOf(timeline) {
  const given = timeline.keyframes;
  const plain = { id: -1, ease: "in-out", hold: 0 };
  const begun = given[0].at > 0 ? [{ ...plain, at: 0, expression: {}, offset: {} }, ...given] : given;
  if (timeline.loop !== "loop") return begun;
  const [first, last] = [begun[0], begun[begun.length - 1]];
  const same = equal(first.expression, last.expression) && equal(first.offset, last.offset);
  if (same || lengthOf(timeline) === 0) return begun;
  const at = lengthOf(timeline) + CLOSING;
  return [...begun, { ...plain, at, expression: first.expression, offset: first.offset }];
}

/** Seconds until it begins again, or ends. @param {Timeline} timeline */
export function cycleOf(timeline) {
  const whole = wholeOf(timeline);
  return endOf(whole[whole.length - 1]) * (timeline.loop === "boomerang" ? 2 : 1);
}

/**
 * The pose at a time.
 * @param {Keyframe[]} frames as of `wholeOf`
 * @param {number} t seconds
 * @returns {Pose}
 */
export function poseAt(frames, t) {
  const found = frames.findIndex((frame) => frame.at > t);
  const after = found < 0 ? frames.length : found;
  if (after === 0) return poseOf(frames[0]);
  const before = frames[after - 1];
  if (after === frames.length || t <= endOf(before)) return poseOf(before);
  const next = frames[after];
  const start = endOf(before);
  const share = EASES[next.ease]((t - start) / (next.at - start));
  const [from, to] = [poseOf(before), poseOf(next)];
  /** @type {Pose} */
  const pose = new Map();
  for (const channel of new Set([...from.keys(), ...to.keys()])) {
    const [k0, a0] = from.get(channel) ?? OWN;
    const [k1, a1] = to.get(channel) ?? OWN;
    pose.set(channel, [k0 + share * (k1 - k0), a0 + share * (a1 - a0)]);
  }
  return pose;
}

/** Python's `round`: halves go to the even number. @param {number} value */
function roundEven(value) {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}

/**
 * Times of the frames of a whole cycle, in seconds of the keyframes; a boomerang goes back.
 * @param {Timeline} timeline
 * @returns {number[]}
 */
export function timesOf(timeline) {
  const whole = wholeOf(timeline);
  const length = endOf(whole[whole.length - 1]);
  const count = Math.max(1, roundEven(length * timeline.fps));
  const last = timeline.loop !== "loop" && length > 0 ? count + 1 : count;
  const times = Array.from({ length: last }, (_, i) => i * (length / count));
  if (timeline.loop !== "boomerang") return times;
  return [...times, ...times.slice(1, -1).reverse()];
}

/**
 * What a face reaches whose own expression is `own`, within what can be asked (`in_range`).
 * @param {Pose} pose
 * @param {Expression} own
 * @returns {Expression} of the channels that the pose names
 */
export function reached(pose, own) {
  /** @type {Expression} */
  const values = {};
  for (const [channel, [keep, add]] of pose) {
    const source = own[channel] ?? 0;
    const most = Math.max(source, HEAD.has(channel) ? 0 : MOST) + (HEAD.has(channel) ? MOST : 0);
    values[channel] = Math.min(most, Math.max(Math.min(source, 0), keep * source + add));
  }
  return values;
}

/**
 * The same as a preview is asked for it: absolute, 0..5, of two opposites only the stronger one.
 * @param {Pose} pose
 * @param {Expression} own
 * @returns {Expression}
 */
export function asked(pose, own) {
  const values = reached(pose, own);
  for (const [one, other] of OPPOSITES) {
    if (!(one in values) && !(other in values)) continue;
    const net = (values[one] ?? own[one] ?? 0) - (values[other] ?? own[other] ?? 0);
    delete values[one];
    delete values[other];
    values[net < 0 ? other : one] = Math.abs(net);
  }
  for (const [channel, value] of Object.entries(values)) {
    values[channel] = Math.round(Math.min(MOST, value) * 1000) / 1000;
  }
  return values;
}

/**
 * A keyframe's expression and offset that show a pose: heads beside the photo's own, all else as it is.
 * @param {Pose} pose
 * @param {Expression} own
 * @returns {{expression: Expression, offset: Expression}}
 */
export function keyedPose(pose, own) {
  const values = reached(pose, own);
  /** @type {Expression} */
  const expression = {};
  /** @type {Expression} */
  const offset = {};
  for (const [channel, [keep, add]] of pose) {
    if (keep === 1 && add === 0) continue;
    const value = Math.round(values[channel] * 100) / 100;
    if (keep === 1 && HEAD.has(channel)) offset[channel] = Math.round(add * 100) / 100;
    else expression[channel] = Math.min(MOST, Math.max(0, value));
  }
  return { expression, offset };
}

/** Where a cycle differs most from the photo's own expression. @param {Timeline} timeline */
export function strongest(timeline) {
  const whole = wholeOf(timeline);
  let best = { size: -1, pose: /** @type {Pose} */ (new Map()) };
  for (const time of timesOf(timeline)) {
    const pose = poseAt(whole, time);
    let size = 0;
    for (const [keep, add] of pose.values()) size += Math.abs(add / MOST) + Math.abs(1 - keep) * 0.01;
    if (size > best.size) best = { size, pose };
  }
  return best.pose;
}

/** The keyframe's time at which a recipe shows most. @param {Timeline} timeline */
export function strongestTime(timeline) {
  const size = (/** @type {Keyframe} */ frame) => {
    let sum = 0;
    for (const [keep, add] of poseOf(frame).values()) sum += Math.abs(add) + Math.abs(1 - keep) * 0.01;
    return sum;
  };
  return timeline.keyframes.reduce((a, b) => (size(b) >= size(a) ? b : a)).at;
}
