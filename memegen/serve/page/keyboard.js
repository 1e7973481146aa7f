// Everything by keyboard, and the list of it.

import { byId, make, say } from "./dom.js";

/**
 * @typedef {{keys: string, does: string, run: () => void, on: (event: KeyboardEvent) => boolean}} Shortcut
 */

/** @param {KeyboardEvent} event */
const command = (event) => event.ctrlKey || event.metaKey;

/** @param {string} key @returns {(event: KeyboardEvent) => boolean} */
const plain = (key) => (event) => event.key === key && !command(event) && !event.altKey;

/** @param {string} key @param {boolean} shift */
const commanded = (key, shift = false) => (/** @type {KeyboardEvent} */ event) =>
  command(event) && !event.altKey && event.shiftKey === shift && event.key.toLowerCase() === key;

/** Elements that take letters, or arrows, for themselves. @param {Element | null} element */
const writes = (element) => Boolean(element?.matches('input:not([type="range"]):not([type="radio"]):not([type="checkbox"]), textarea, select'));
/** @param {Element | null} element */
const takesArrows = (element) => Boolean(element?.matches('input[type="range"], input[type="radio"], [role="tab"], video'));
/** @param {Element | null} element */
const takesSpace = (element) => Boolean(element !== clicked && element?.matches('button:not(.keyframe), input[type="checkbox"], input[type="radio"], summary'));

/** The button that was clicked last: it keeps the focus, and yet space is to play. @type {Element | null} */
let clicked = null;

/**
 * @param {import("./state.js").State} state
 * @param {import("./timeline.js").Timeline} timeline
 * @param {import("./player.js").Player} player
 */
export function keyboard(state, timeline, player) {
  const click = (/** @type {string} */ id) => () => byId(id).click();
  const undo = () => (state.undo() ? say("Undone") : say("Nothing to undo"));
  const redo = () => (state.redo() ? say("Done again") : say("Nothing to redo"));
  /** @type {Shortcut[]} */
  const shortcuts = [
    { keys: "Space", does: "Play, pause", on: plain(" "), run: () => player.toggle() },
    { keys: "← →", does: "Playhead by a frame (Shift: by ten)", on: arrow, run: () => {} },
    { keys: "Home End", does: "To the beginning, to the end", on: (event) => plain("Home")(event) || plain("End")(event), run: () => {} },
    { keys: "[ ]", does: "To the keyframe before, after", on: (event) => plain("[")(event) || plain("]")(event), run: () => {} },
    { keys: "K", does: "Add a keyframe at the playhead", on: letter("k"), run: () => timeline.add() },
    { keys: "D", does: "Duplicate the keyframe", on: letter("d"), run: () => timeline.duplicate() },
    { keys: "Delete", does: "Delete the keyframe", on: plain("Delete"), run: () => timeline.remove() },
    { keys: "Backspace", does: "On a slider or pad: back to the photo's own", on: () => false, run: () => {} },
    { keys: "Z", does: "Near the face, or the whole photo", on: letter("z"), run: click("zoom") },
    { keys: "Ctrl Z", does: "Undo", on: commanded("z"), run: undo },
    { keys: "Ctrl Shift Z", does: "Redo", on: (event) => commanded("z", true)(event) || commanded("y")(event), run: redo },
    { keys: "Ctrl O", does: "Open a recipe", on: commanded("o"), run: click("open-recipe") },
    { keys: "Ctrl S", does: "Save the recipe", on: commanded("s"), run: click("save-recipe") },
    { keys: "Ctrl D", does: "Download", on: commanded("d"), run: click("open-download") },
    { keys: "1 2 3 4", does: "Face, Presets, Captions, Recipe", on: (event) => /^[1-4]$/.test(event.key) && !command(event), run: () => {} },
    { keys: "?", does: "This list", on: plain("?"), run: click("open-help") },
  ];
  byId("shortcuts").replaceChildren(
    ...shortcuts.flatMap(({ keys, does }) => [
      make("dt", {}, ...keys.split(" ").flatMap((key, i) => [i ? " " : "", make("kbd", {}, key)])),
      make("dd", {}, does),
    ]),
  );
  byId("open-help").addEventListener("click", () => byId("help").showModal());
  byId("undo").addEventListener("click", undo);
  byId("redo").addEventListener("click", redo);
  const show = () => {
    byId("undo").disabled = !state.canUndo;
    byId("redo").disabled = !state.canRedo;
  };
  state.addEventListener("recipe", show);
  show();

  addEventListener("pointerdown", ({ target }) => {
    clicked = target instanceof Element ? target.closest("button, input") : null;
  });
  addEventListener("keyup", (event) => {
    // Buttons are pressed when the key comes up.
    const focus = document.activeElement;
    const plays = event.key === " " && !document.querySelector("dialog[open]");
    if (plays && !writes(focus) && !takesSpace(focus)) event.preventDefault();
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Tab") clicked = null;
    if (document.querySelector("dialog[open]")) return;
    const focus = document.activeElement;
    if (writes(focus) && !["s", "o", "d"].some((key) => commanded(key)(event))) return;
    if (event.key === " " && takesSpace(focus)) return;
    if (/^(Arrow|Home|End)/.test(event.key)) {
      if (!takesArrows(focus)) travel(event, timeline);
      return;
    }
    if (plain("[")(event) || plain("]")(event)) timeline.jump(event.key === "[" ? -1 : 1);
    if (/^[1-4]$/.test(event.key) && !command(event)) {
      const tabs = /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('[role="tab"]'));
      tabs[Number(event.key) - 1].click();
    }
    const found = shortcuts.find((shortcut) => shortcut.on(event));
    if (!found) return;
    event.preventDefault();
    found.run();
  });
}

/** @param {string} key */
const letter = (key) => (/** @type {KeyboardEvent} */ event) =>
  event.key.toLowerCase() === key && !command(event) && !event.altKey;

/** @param {KeyboardEvent} event */
const arrow = (event) => event.key === "ArrowLeft" || event.key === "ArrowRight";

/** @param {KeyboardEvent} event @param {import("./timeline.js").Timeline} timeline */
function travel(event, timeline) {
  if (command(event) || event.altKey || event.key === "ArrowUp" || event.key === "ArrowDown") return;
  event.preventDefault();
  const step = event.shiftKey ? 10 : 1;
  if (event.key === "ArrowLeft") timeline.step(-step);
  if (event.key === "ArrowRight") timeline.step(step);
  if (event.key === "Home") timeline.seek(0);
  if (event.key === "End") timeline.seek(Infinity);
}
