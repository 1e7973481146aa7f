// The recipe that is edited: from and to the server's form, and what can be done to its keyframes.
// Nothing here changes what it is given: each function returns a new recipe.

import { clamp, rounded } from "./dom.js";
import { endOf, keyedPose, lengthOf, poseAt, wholeOf } from "./track.js";
import { byChannel, byName } from "./units.js";

/**
 * @typedef {import("./track.js").Keyframe} Keyframe
 * @typedef {import("./track.js").Loop} Loop
 * @typedef {import("./units.js").Expression} Expression
 * @typedef {{top: string, bottom: string, caption: string, style: string}} Captions
 * @typedef {{name: string, description: string, fps: number, loop: Loop, keyframes: Keyframe[],
 *   captions: Captions, timed: any[]}} Recipe `timed`: captions that the page keeps, not edits
 */

/** Seconds between the end of a keyframe and the next one, at least. */
export const GAP = 0.02;
export const LONGEST = 600;
/** Seconds within which a time counts as that of a keyframe. */
const NEAR = 0.006;
export const NO_CAPTIONS = { top: "", bottom: "", caption: "", style: "" };

let counted = 0;
/** A number for a keyframe, so that it can be told from others while it moves. */
const fresh = () => ++counted;

/** @returns {Recipe} what the page begins with: to an expression that is yet to be shaped, and back */
export const begun = () => ({
  name: "untitled",
  description: "",
  fps: 25,
  loop: "boomerang",
  captions: { ...NO_CAPTIONS },
  timed: [],
  keyframes: [keyframe(0), { ...keyframe(0.6), hold: 0.4 }],
});

/** @param {number} at @returns {Keyframe} the photo's own expression */
const keyframe = (at) => ({ id: fresh(), at, ease: "in-out", hold: 0, expression: {}, offset: {} });

/** Styles of top and bottom that the page offers; "" is the usual one. */
const STYLES = ["", "plain", "subtitle"];
const PLACES = { top: "top", bottom: "bottom", above: "caption" };

/**
 * From the server's form, which is the YAML's.
 * @param {any} given
 * @param {Set<string>} sided names of units that have sides
 * @returns {Recipe}
 */
export function fromServer(given, sided) {
  const { captions, timed } = captionsOf(given.captions ?? []);
  return {
    name: given.name,
    description: given.description ?? "",
    fps: given.fps ?? 25,
    loop: given.loop ?? "boomerang",
    captions,
    timed,
    keyframes: given.keyframes.map((frame) => {
      const relative = frame.relative ?? given.relative ?? false;
      const expression = byChannel(frame.expression ?? {}, sided);
      const offset = byChannel(frame.offset ?? {}, sided);
      return {
        id: fresh(),
        at: frame.at,
        ease: frame.ease ?? "in-out",
        hold: frame.hold ?? 0,
        expression: relative ? {} : expression,
        offset: relative ? { ...expression, ...offset } : offset,
      };
    }),
  };
}

/**
 * The captions that the page edits, and those with times or styles that it keeps as they are.
 * @param {any[]} given
 */
function captionsOf(given) {
  const captions = { ...NO_CAPTIONS };
  const timed = [];
  let on = false; // whether one on the picture has said the style of both
  for (const each of given) {
    const place = PLACES[each.position ?? "bottom"];
    const style = each.style ?? "";
    const whole = !each.from && (each.to === undefined || each.to === null);
    const known = place === "caption" ? style === "" : STYLES.includes(style) && (!on || style === captions.style);
    if (!place || captions[place] || !whole || !known) {
      timed.push(each);
      continue;
    }
    captions[place] = each.text;
    if (place === "caption") continue;
    captions.style = style;
    on = true;
  }
  return { captions, timed };
}

/**
 * To the server's form.
 * @param {Recipe} recipe
 * @param {{captions: boolean}} options whether the page's own captions go with it
 */
export function toServer(recipe, { captions }) {
  const keyframes = recipe.keyframes.map((frame) => {
    /** @type {any} */
    const said = { at: frame.at };
    if (frame.ease !== "in-out") said.ease = frame.ease;
    if (frame.hold > 0) said.hold = frame.hold;
    said.expression = byName(frame.expression);
    if (Object.keys(frame.offset).length) said.offset = byName(frame.offset);
    return said;
  });
  /** @type {any} */
  const said = { name: recipe.name.trim() || "untitled" };
  if (recipe.description.trim()) said.description = recipe.description.trim();
  Object.assign(said, { fps: recipe.fps, loop: recipe.loop, keyframes });
  const written = [...recipe.timed, ...(captions ? captionList(recipe.captions) : [])];
  if (written.length) said.captions = written;
  return said;
}

/** @param {Captions} captions as a recipe writes them */
function captionList(captions) {
  const list = [];
  for (const [position, place] of Object.entries(PLACES)) {
    const text = captions[place].trim();
    if (!text) continue;
    const style = captions.style && place !== "caption" ? { style: captions.style } : {};
    list.push({ text, position, ...style });
  }
  return list;
}

/** The captions as previews and renderings take them, or nothing. @param {Captions} captions */
export function askedCaptions(captions) {
  const texts = [captions.top, captions.bottom, captions.caption].map((text) => text.trim());
  if (!texts.some(Boolean)) return undefined;
  const [top, bottom, caption] = texts.map((text) => text || undefined);
  return { top, bottom, caption, style: captions.style || undefined };
}

/** The keyframe that a time is at or held in. @param {Recipe} recipe @param {number} time */
export const keyframeAt = (recipe, time) =>
  recipe.keyframes.find((frame) => time >= frame.at - NEAR && time <= endOf(frame) + NEAR);

/** @param {Recipe} recipe @param {number} id @param {Partial<Keyframe>} change @returns {Recipe} */
export function changed(recipe, id, change) {
  const keyframes = recipe.keyframes.map((each) => (each.id === id ? { ...each, ...change } : each));
  return { ...recipe, keyframes };
}

/**
 * With a keyframe at a time that shows what is seen there; null where there is no room.
 * @param {Recipe} recipe
 * @param {number} time
 * @param {Expression} own
 * @returns {Recipe | null}
 */
export function added(recipe, time, own) {
  const at = rounded(time);
  if (recipe.keyframes.some((each) => at > each.at - GAP && at < endOf(each) + GAP)) return null;
  const frame = { ...keyframe(at), ...keyedPose(poseAt(wholeOf(recipe), time), own) };
  const keyframes = [...recipe.keyframes, frame].sort((a, b) => a.at - b.at);
  return { ...recipe, keyframes };
}

/** Without a keyframe; the last one stays. @param {Recipe} recipe @param {number} id */
export function removed(recipe, id) {
  if (recipe.keyframes.length === 1) return null;
  return { ...recipe, keyframes: recipe.keyframes.filter((each) => each.id !== id) };
}

/**
 * With a copy behind a keyframe: in the gap that follows, or later ones make room.
 * @param {Recipe} recipe
 * @param {number} id
 * @returns {{recipe: Recipe, copy: Keyframe} | null}
 */
export function duplicated(recipe, id) {
  const index = recipe.keyframes.findIndex((each) => each.id === id);
  const frame = recipe.keyframes[index];
  const at = rounded(endOf(frame) + 0.3);
  const next = recipe.keyframes[index + 1];
  const late = next ? Math.max(0, rounded(at + frame.hold + 0.3 - next.at)) : 0;
  if (Math.max(at + frame.hold, lengthOf(recipe) + late) > LONGEST) return null;
  const copy = { ...frame, id: fresh(), at };
  const later = recipe.keyframes
    .slice(index + 1)
    .map((each) => ({ ...each, at: rounded(each.at + late) }));
  const keyframes = [...recipe.keyframes.slice(0, index + 1), copy, ...later];
  return { recipe: { ...recipe, keyframes }, copy };
}

/** Moved to a time, as far as its neighbours let it. @param {Recipe} recipe @param {number} id @param {number} time */
export function moved(recipe, id, time) {
  const index = recipe.keyframes.findIndex((each) => each.id === id);
  const frame = recipe.keyframes[index];
  const [before, next] = [recipe.keyframes[index - 1], recipe.keyframes[index + 1]];
  const low = before ? endOf(before) + GAP : 0;
  const high = (next ? next.at - GAP : LONGEST) - frame.hold;
  return changed(recipe, id, { at: rounded(clamp(time, low, Math.max(low, high))) });
}

/** Held for so long, as far as the next one lets it. @param {Recipe} recipe @param {number} id @param {number} hold */
export function held(recipe, id, hold) {
  const index = recipe.keyframes.findIndex((each) => each.id === id);
  const next = recipe.keyframes[index + 1];
  const most = (next ? next.at - GAP : LONGEST) - recipe.keyframes[index].at;
  return changed(recipe, id, { hold: rounded(clamp(hold, 0, most)) });
}

/** All of it stretched to a length in seconds. @param {Recipe} recipe @param {number} length */
export function stretched(recipe, length) {
  const now = lengthOf(recipe);
  if (now <= 0) return recipe;
  const factor = clamp(length, recipe.keyframes.length * 2 * GAP, LONGEST) / now;
  let end = -GAP;
  const keyframes = recipe.keyframes.map((each) => {
    const at = Math.max(rounded(each.at * factor), rounded(end + GAP));
    const hold = rounded(each.hold * factor);
    end = at + hold;
    return { ...each, at, hold };
  });
  return { ...recipe, keyframes };
}

/** @param {number} count a draft that was read back has numbers already */
export function countFrom(count) {
  counted = Math.max(counted, count);
}
