// Elements, and words for screen readers.

/**
 * An element by its id, which must be there.
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element #${id}`);
  return found;
}

/**
 * A new element.
 * @param {string} tag
 * @param {Record<string, any>} attributes `on…` are listeners, `class` a class, others attributes
 * @param {...(Node | string | null | false)} children
 * @returns {any}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== false));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/**
 * An icon of the page's sprite.
 * @param {string} name
 * @returns {SVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

let fading = 0;

/**
 * Say something: shown for a while, and read by screen readers.
 * @param {string} text
 * @param {"note" | "error"} kind
 */
export function say(text, kind = "note") {
  const shown = byId("toast");
  shown.dataset.kind = kind;
  shown.textContent = text;
  byId(kind === "error" ? "alert" : "status").textContent = text;
  shown.hidden = false;
  clearTimeout(fading);
  fading = window.setTimeout(() => (shown.hidden = true), kind === "error" ? 8000 : 2600);
}

/**
 * Run what may fail, and say so if it does.
 * @template T
 * @param {() => Promise<T>} work
 * @returns {Promise<T | undefined>}
 */
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    say(error instanceof Error ? error.message : String(error), "error");
    return undefined;
  }
}

/** @param {number} value @param {number} low @param {number} high */
export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** @param {number} value @param {number} digits */
export const rounded = (value, digits = 2) => Number(value.toFixed(digits)) + 0;

/** @param {number} seconds */
export const clock = (seconds) => `${seconds.toFixed(2)} s`;
