// Two-dimensional pads for head and gaze, as seen in the picture, and the tilt of the head.

import { byId, clamp, make } from "./dom.js";
import { seen, shapePairs } from "./shape.js";
import { slider } from "./slider.js";
import { MOST } from "./units.js";

/** @typedef {import("./state.js").State} State */

const STEP = 0.2; // of an arrow key
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const CENTRE = 0.15; // nearer to the middle is the middle

/** @param {number} value @param {string} plus @param {string} minus */
const direction = (value, plus, minus) =>
  value === 0 ? "0" : `${value > 0 ? plus : minus} ${Math.abs(value).toFixed(1)}`;

/** The pads, and the slider for the tilt. */
export function pads(/** @type {State} */ state) {
  const head = pad(state, byId("head-pad"), "Head", [["AU51", "AU52"], ["AU53", "AU54"]]);
  const gaze = pad(state, byId("gaze-pad"), "Gaze", [["AU61", "AU62"], ["AU63", "AU64"]]);
  const tilt = tiltSlider(state);
  let waiting = 0;
  const refresh = () => {
    waiting ||= requestAnimationFrame(() => {
      waiting = 0;
      const at = seen(state);
      for (const part of [head, gaze, tilt]) part(at);
    });
  };
  state.addEventListener("recipe", refresh);
  state.addEventListener("view", refresh);
  refresh();
}

/** @param {State} state */
function tiltSlider(state) {
  /** @type {[string, string]} */
  const pair = ["AU55", "AU56"];
  const set = (/** @type {number | null} */ value, gesture = "tilt") => shapePairs(state, [pair], [value], gesture);
  const reset = () => (set(null, ""), state.rest());
  const bar = slider({
    label: "AU55 and AU56 head tilt",
    words: (value) => `Head tilt ${direction(value, "left", "right")} of ${MOST}`,
    low: -MOST,
    input: set,
    rest: () => state.rest(),
    reset,
  });
  byId("tilt").append(bar.element);
  const figure = byId("tilt-value");
  return (/** @type {ReturnType<typeof seen>} */ at) => {
    const value = at.net(...pair);
    bar.show(value, pair.some(at.named));
    figure.textContent = Math.abs(value).toFixed(1);
  };
}

/**
 * @param {State} state
 * @param {HTMLElement} place
 * @param {string} name
 * @param {[[string, string], [string, string]]} pairs to the person's left, and up
 */
function pad(state, place, name, pairs) {
  const knob = make("span", { class: "knob" });
  const words = (/** @type {number[]} */ [x, y]) => `${name} ${direction(x, "left", "right")}, ${direction(y, "up", "down")} of ${MOST}`;
  let values = [0, 0];
  const set = (/** @type {number[]} */ next) => {
    values = next.map((value) => Math.round(clamp(value, -MOST, MOST) * 10) / 10);
    shapePairs(state, pairs, values, name);
  };
  const reset = () => {
    shapePairs(state, pairs, [null, null], "");
    state.rest();
  };
  const ranges = ["turn", "up and down"].map((way, i) =>
    make("input", {
      type: "range",
      class: "unseen",
      min: -MOST,
      max: MOST,
      step: STEP,
      "aria-label": `${name} ${way}, ${pairs[i].join(" and ")}`,
      oninput: (event) => set(values.map((value, j) => (i === j ? Number(event.target.value) : value))),
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        const step = KEYS[event.key];
        if (!step && event.key !== "Backspace") return;
        event.preventDefault();
        event.stopPropagation();
        if (step) set(values.map((value, j) => value + STEP * step[j]));
        else reset();
      },
      onchange: () => state.rest(),
      onblur: () => state.rest(),
    }),
  );
  const field = make("div", { class: "pad-field" }, knob, ...ranges);
  const reading = make("output", { class: "pad-value", "aria-hidden": "true" });
  place.append(field, reading);
  drag(field, ranges[0], set, reset, () => state.rest());
  return (/** @type {ReturnType<typeof seen>} */ at) => {
    values = pairs.map(([plus, minus]) => clamp(Math.round(at.net(plus, minus) * 10) / 10, -MOST, MOST));
    const named = pairs.flat().some(at.named);
    field.toggleAttribute("data-own", !named);
    knob.style.left = `${50 + (50 * values[0]) / MOST}%`;
    knob.style.top = `${50 - (50 * values[1]) / MOST}%`;
    reading.textContent = values.map((value) => (value > 0 ? "+" : "") + value.toFixed(1)).join("  ");
    ranges.forEach((range, i) => {
      range.value = String(values[i]);
      range.setAttribute("aria-valuetext", words(values));
    });
  };
}

/**
 * @param {HTMLElement} field
 * @param {HTMLElement} focus
 * @param {(values: number[]) => void} set
 * @param {() => void} reset
 * @param {() => void} rest
 */
function drag(field, focus, set, reset, rest) {
  const move = (/** @type {PointerEvent} */ event) => {
    const box = field.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * 2 - 1;
    const y = 1 - ((event.clientY - box.top) / box.height) * 2;
    set([x, y].map((value) => (Math.abs(value * MOST) < CENTRE ? 0 : value * MOST)));
  };
  field.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    field.setPointerCapture(event.pointerId);
    focus.focus({ preventScroll: true });
    move(event);
  });
  field.addEventListener("pointermove", (event) => {
    if (field.hasPointerCapture(event.pointerId)) move(event);
  });
  for (const end of ["pointerup", "pointercancel"]) field.addEventListener(end, rest);
  field.addEventListener("dblclick", reset);
}
