// One slider, as sliders and pads use it: a native range with a filled track and words.

import { make } from "./dom.js";

/**
 * @typedef {{label: string, words: (value: number) => string, low?: number, high?: number,
 *   input: (value: number) => void, rest: () => void, reset: () => void}} Options
 */

/**
 * A range input. `words` is what a screen reader says of a value.
 * @param {Options} options
 */
export function slider({ label, words, low = 0, high = 5, input, rest, reset }) {
  /** @type {HTMLInputElement} */
  const range = make("input", {
    type: "range",
    class: "slider",
    min: low,
    max: high,
    step: 0.1,
    "aria-label": label,
    oninput: () => {
      show(Number(range.value), true);
      input(Number(range.value));
    },
    onchange: rest,
    ondblclick: reset,
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Backspace") return;
      event.preventDefault();
      reset();
    },
  });
  let last = NaN;

  /** @param {number} value @param {boolean} named whether it is the recipe's, not the photo's own */
  function show(value, named) {
    range.toggleAttribute("data-own", !named);
    if (value === last) return;
    last = value;
    const rounded = Math.round(value * 10) / 10;
    if (Number(range.value) !== rounded) range.value = String(rounded);
    const share = (100 * (Number(range.value) - low)) / (high - low);
    const zero = (100 * (0 - low)) / (high - low);
    range.style.setProperty("--from", `${Math.min(share, zero)}%`);
    range.style.setProperty("--to", `${Math.max(share, zero)}%`);
    range.setAttribute("aria-valuetext", words(rounded));
  }
  return { element: range, show };
}
