// Shaping the expression at the playhead: its keyframe is changed, or made where there is none.

import { byId, clamp, rounded } from "./dom.js";
import { added, changed, keyframeAt } from "./recipe.js";
import { poseAt, reached, wholeOf } from "./track.js";
import { HEAD, MOST } from "./units.js";

/**
 * @typedef {import("./state.js").State} State
 * @typedef {Record<string, number | null>} Changes values by channel; null is the photo's own again
 */

/**
 * The recipe with a keyframe at the playhead, and that keyframe.
 * @param {State} state
 */
function withKeyframe(state) {
  const { recipe, view } = state;
  const found = keyframeAt(recipe, view.time);
  if (found) return { recipe, frame: found };
  const more = added(recipe, view.time, state.own);
  if (!more) {
    // Too near another one for a keyframe of its own: it is that one which is meant.
    const distance = (each) => Math.abs(each.at - view.time);
    const frame = recipe.keyframes.reduce((a, b) => (distance(b) < distance(a) ? b : a));
    return { recipe, frame };
  }
  const frame = more.keyframes.find((each) => !recipe.keyframes.includes(each));
  if (!frame) throw new Error("a keyframe was added, and is not there");
  byId("status").textContent = `Keyframe added at ${frame.at.toFixed(2)} seconds`;
  return { recipe: more, frame };
}

/**
 * Set channels of the keyframe at the playhead.
 * @param {State} state
 * @param {Changes} changes
 * @param {string} gesture that this is part of
 * @param {"expression" | "offset"} kind offset: beside the photo's own
 */
export function shape(state, changes, gesture, kind = "expression") {
  if (state.view.playing) state.look({ playing: false });
  const { recipe, frame } = withKeyframe(state);
  const expression = { ...frame.expression };
  const offset = { ...frame.offset };
  for (const [channel, value] of Object.entries(changes)) {
    delete expression[channel];
    delete offset[channel];
    if (value === null) continue;
    if (kind === "offset") offset[channel] = rounded(clamp(value, -MOST, MOST));
    else expression[channel] = rounded(clamp(value, 0, MOST));
  }
  state.edit(changed(recipe, frame.id, { expression, offset }), gesture);
  if (state.view.time < frame.at || state.view.time > frame.at + frame.hold) state.look({ time: frame.at });
}

/**
 * Another expression for the keyframe at the playhead; what the head does stays unless given.
 * @param {State} state
 * @param {{expression: Record<string, number>, offset: Record<string, number>}} pose
 */
export function pose(state, pose) {
  if (state.view.playing) state.look({ playing: false });
  const { recipe, frame } = withKeyframe(state);
  state.edit(changed(recipe, frame.id, pose));
  if (state.view.time < frame.at || state.view.time > frame.at + frame.hold) state.look({ time: frame.at });
}

/**
 * What is seen at the playhead: a function of a channel, and which channels the recipe names there.
 * @param {State} state
 */
export function seen(state) {
  const pose = poseAt(wholeOf(state.recipe), state.view.time);
  const values = reached(pose, state.own);
  const own = (/** @type {string} */ channel) => state.own[channel] ?? 0;
  return {
    value: (/** @type {string} */ channel) => values[channel] ?? own(channel),
    named: (/** @type {string} */ channel) => {
      const [keep, add] = pose.get(channel) ?? [1, 0];
      return keep !== 1 || add !== 0;
    },
    /** How far one channel outweighs its opposite; heads beside the photo's own. */
    net: (/** @type {string} */ plus, /** @type {string} */ minus) => {
      const value = (values[plus] ?? own(plus)) - (values[minus] ?? own(minus));
      return HEAD.has(plus) ? value - (own(plus) - own(minus)) : value;
    },
  };
}

/**
 * Set one degree of freedom of two opposite channels.
 * @param {State} state
 * @param {[string, string][]} pairs
 * @param {(number | null)[]} values signed, for each pair
 * @param {string} gesture
 */
export function shapePairs(state, pairs, values, gesture) {
  /** @type {Changes} */
  const changes = {};
  pairs.forEach(([plus, minus], i) => {
    const value = values[i];
    changes[plus] = changes[minus] = null;
    if (value !== null) changes[value < 0 ? minus : plus] = Math.abs(value);
    if (value === 0 && HEAD.has(plus)) changes[plus] = null; // as far as the photo's own
  });
  shape(state, changes, gesture, HEAD.has(pairs[0][0]) ? "offset" : "expression");
}
