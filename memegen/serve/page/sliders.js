// A slider for every action unit, left and right linked or apart.

import { byId, icon, make } from "./dom.js";
import { seen, shape, shapePairs } from "./shape.js";
import { slider } from "./slider.js";
import { GROUPS, JAW_SIDEWAYS, MOST, channelsOf, sideOf, titled } from "./units.js";

/**
 * @typedef {import("./units.js").Unit} Unit
 * @typedef {import("./state.js").State} State
 */

const SAME = 0.005; // sides that differ by less are shown as one

/** @param {number} value */
const shown = (value) => value.toFixed(1);

/** All sliders of the panel. */
export class Sliders {
  /** @type {{refresh: (at: ReturnType<typeof seen>) => void}[]} */
  #rows = [];
  #waiting = 0;

  /** @param {State} state */
  constructor(state) {
    this.state = state;
    const place = byId("units");
    const jumps = byId("jumps");
    for (const group of GROUPS) {
      const units = state.view.units.filter((unit) => group.has(unit));
      const rows = units.map((unit) => (unit.number === JAW_SIDEWAYS ? this.#sideways(unit) : this.#row(unit)));
      const heading = make("h3", { id: `group-${group.id}`, tabindex: -1 }, group.title);
      const section = make("section", { class: "group", "aria-labelledby": `group-${group.id}` }, heading, ...rows);
      place.append(section);
      jumps.append(jump(group.short ?? group.title, section));
    }
    jumps.append(jump("Head", byId("pose")));
    state.addEventListener("recipe", () => this.refresh());
    state.addEventListener("view", () => this.refresh());
  }

  /** Show what is at the playhead, at the next moment that can be seen. */
  refresh() {
    this.#waiting ||= requestAnimationFrame(() => {
      this.#waiting = 0;
      const at = seen(this.state);
      for (const row of this.#rows) row.refresh(at);
    });
  }

  /** @param {Unit} unit that has two sides, or none */
  #row(unit) {
    const channels = channelsOf(unit);
    const rest = () => this.state.rest();
    const parts = [channels, ...(unit.sides ? channels.map((each) => [each]) : [])].map((part) => {
      const side = part.length === 1 && unit.sides ? sideOf(part[0]) : "";
      const name = [unit.name, unit.facs, side].filter(Boolean).join(" ");
      const set = (/** @type {number | null} */ value, gesture = name) =>
        shape(this.state, Object.fromEntries(part.map((channel) => [channel, value])), gesture);
      const reset = () => (set(null, ""), rest());
      const bar = slider({ label: name, words: (value) => `${name} ${shown(value)} of ${MOST}`, input: set, rest, reset });
      const value = resetButton(name, reset);
      const line = make("div", { class: "line" }, side && make("span", { class: "side", "aria-hidden": "true" }, side[0].toUpperCase()), bar.element, value.element);
      return { part, line, bar, value, hidden: false };
    });
    const [both, ...apart] = parts;
    let split = false;
    const link = unit.sides && this.#link(unit, () => {
      split = !split;
      if (!split) this.#join(channels);
      this.refresh();
    });
    const element = unitRow(unit, parts.map((part) => part.line), link || null);
    this.#rows.push({
      refresh: (at) => {
        const differ = apart.length > 0 && channels.some(at.named) && Math.abs(at.value(channels[0]) - at.value(channels[1])) > SAME;
        if (differ) split = true;
        both.line.hidden = split;
        for (const each of apart) each.line.hidden = !split;
        if (link) link.setAttribute("aria-pressed", String(!split));
        for (const { part, bar, value } of split ? apart : [both]) {
          const mean = part.reduce((sum, channel) => sum + at.value(channel), 0) / part.length;
          const named = part.some(at.named);
          bar.show(mean, named);
          value.show(shown(Math.min(mean, MOST)), named);
        }
      },
    });
    return element;
  }

  /** @param {Unit} unit jaw sideways: to one side or to the other */
  #sideways(unit) {
    const [left, right] = channelsOf(unit);
    const name = `${unit.name} ${unit.facs}`;
    const reset = () => (shapePairs(this.state, [[left, right]], [null], ""), this.state.rest());
    const side = (/** @type {number} */ value) => (value === 0 ? "" : value < 0 ? "right " : "left ");
    const bar = slider({
      label: name,
      words: (value) => `${name} ${side(value)}${shown(Math.abs(value))} of ${MOST}`,
      low: -MOST,
      input: (value) => shapePairs(this.state, [[left, right]], [value], name),
      rest: () => this.state.rest(),
      reset,
    });
    const value = resetButton(name, reset);
    this.#rows.push({
      refresh: (at) => {
        const named = at.named(left) || at.named(right);
        const net = at.net(left, right);
        bar.show(net, named);
        value.show(`${shown(Math.abs(net))}${side(net).charAt(0).toUpperCase()}`, named);
      },
    });
    return unitRow(unit, [make("div", { class: "line" }, bar.element, value.element)], null);
  }

  /** @param {Unit} unit @param {() => void} toggle */
  #link(unit, toggle) {
    return make(
      "button",
      { type: "button", class: "quiet link", "aria-pressed": "true", "aria-label": `${unit.name} ${unit.facs}: left and right together`, title: "Left and right together, or apart", onclick: toggle },
      icon("link"),
    );
  }

  /** Both sides alike: halfway between them. @param {string[]} channels */
  #join(channels) {
    const at = seen(this.state);
    if (!channels.some(at.named)) return;
    const mean = channels.reduce((sum, channel) => sum + at.value(channel), 0) / channels.length;
    shape(this.state, Object.fromEntries(channels.map((channel) => [channel, mean])), "");
  }
}

/** @param {string} title @param {HTMLElement} section */
const jump = (title, section) =>
  make("button", { type: "button", class: "jump", onclick: () => section.scrollIntoView({ block: "start", behavior: "smooth" }) }, title);

/** @param {Unit} unit @param {Node[]} lines @param {Node | null} link */
const unitRow = (unit, lines, link) =>
  make(
    "div",
    { class: "unit", "data-unit": unit.name },
    make("div", { class: "unit-name" }, make("span", {}, titled(unit.facs)), make("small", {}, unit.name)),
    make("div", { class: "lines" }, ...lines),
    link ?? make("span", {}),
  );

/** The value beside a slider, which puts it back. @param {string} name @param {() => void} reset */
function resetButton(name, reset) {
  const text = make("span", { class: "figure" });
  const element = make("button", { type: "button", class: "value", "aria-label": `${name}: back to the photo's own`, title: "Back to the photo's own", onclick: reset }, text, icon("close"));
  return {
    element,
    /** @param {string} value @param {boolean} named */
    show: (value, named) => {
      if (text.textContent !== value) text.textContent = value;
      element.toggleAttribute("data-own", !named);
      element.disabled = !named;
    },
  };
}
