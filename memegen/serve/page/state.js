// What the page shows: the recipe, with its history, and beside it what undo leaves alone.

import { begun, countFrom } from "./recipe.js";

/**
 * @typedef {import("./recipe.js").Recipe} Recipe
 * @typedef {{time: number, playing: boolean, photo: import("./api.js").Photo | null, face: number, all: boolean, near: boolean,
 *   units: import("./units.js").Unit[], sided: Set<string>}} View
 */

const DRAFT = "memegen-draft";
const STEPS = 200; // of the history that are kept
const REST = 400; // milliseconds before a draft is written

/** The state, and those who want to know when it changes. Events: `recipe`, `view`. */
export class State extends EventTarget {
  /** @type {Recipe} */
  recipe = begun();
  /** @type {View} */
  view = { time: 0.6, playing: false, photo: null, face: 0, all: false, near: false, units: [], sided: new Set() };
  /** @type {Recipe[]} */
  #past = [];
  /** @type {Recipe[]} */
  #future = [];
  /** What the last step was part of, so that a drag is one step. */
  #gesture = "";
  #writing = 0;

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  /** The chosen face's own expression. */
  get own() {
    return this.view.photo?.faces[this.view.face]?.expression ?? {};
  }

  /**
   * Another recipe, as a step of its own, or part of a gesture until `rest`.
   * @param {Recipe} recipe
   * @param {string} [gesture]
   */
  edit(recipe, gesture = "") {
    if (recipe === this.recipe) return;
    if (!gesture || gesture !== this.#gesture) {
      this.#past.push(this.recipe);
      if (this.#past.length > STEPS) this.#past.shift();
    }
    this.#gesture = gesture;
    this.#future = [];
    this.#show(recipe);
  }

  /** A gesture is over: what follows is another step. */
  rest() {
    this.#gesture = "";
  }

  undo() {
    const before = this.#past.pop();
    if (!before) return false;
    this.#future.push(this.recipe);
    this.rest();
    this.#show(before);
    return true;
  }

  redo() {
    const after = this.#future.pop();
    if (!after) return false;
    this.#past.push(this.recipe);
    this.rest();
    this.#show(after);
    return true;
  }

  /** @param {Partial<View>} change */
  look(change) {
    this.view = { ...this.view, ...change };
    this.dispatchEvent(new CustomEvent("view", { detail: change }));
  }

  /** @param {Recipe} recipe */
  #show(recipe) {
    this.recipe = recipe;
    this.dispatchEvent(new Event("recipe"));
    clearTimeout(this.#writing);
    this.#writing = window.setTimeout(() => this.keep(), REST);
  }

  /** Keep the recipe for the next visit; never the photo. */
  keep() {
    try {
      localStorage.setItem(DRAFT, JSON.stringify(this.recipe));
    } catch {
      // Storage is full or forbidden: nothing is kept, then.
    }
  }

  /** Take up what the last visit left. @returns {boolean} whether it left anything */
  resume() {
    try {
      const draft = JSON.parse(localStorage.getItem(DRAFT) ?? "null");
      if (!isRecipe(draft)) return false;
      countFrom(Math.max(...draft.keyframes.map((frame) => frame.id)));
      this.recipe = draft;
      return true;
    } catch {
      return false;
    }
  }
}

/** Whether what was kept is what is kept today: an older page may have left it. @param {any} draft */
function isRecipe(draft) {
  const plain = begun();
  const alike = (/** @type {any} */ given, /** @type {any} */ model) =>
    Boolean(given) && Object.keys(model).every((key) => typeof given[key] === typeof model[key]);
  return (
    alike(draft, plain) &&
    alike(draft.captions, plain.captions) &&
    Array.isArray(draft.timed) &&
    Array.isArray(draft.keyframes) &&
    draft.keyframes.length > 0 &&
    draft.keyframes.every((/** @type {any} */ frame) => alike(frame, plain.keyframes[0]) && frame.expression && frame.offset)
  );
}
