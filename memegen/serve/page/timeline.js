// The timeline: playhead, keyframes with their holds, and how strong the expression is over time.

import { byId, clamp, clock, make, rounded, say } from "./dom.js";
import { Fields } from "./fields.js";
import { added, duplicated, keyframeAt, moved, removed } from "./recipe.js";
import { endOf, lengthOf, poseAt, wholeOf } from "./track.js";

/** @typedef {import("./state.js").State} State */

const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60]; // seconds between labels of the ruler
const APART = 52; // pixels between these, at least
const ROOM = 0.15; // of the length, behind the end, to draw a keyframe out into
const SNAP = 0.05; // seconds that a dragged keyframe goes in
const SAMPLES = 120; // of the curve
const HEIGHT = 100; // units of the curve's drawing

/** The timeline and the fields of the keyframe at the playhead. */
export class Timeline {
  #lane = byId("lane");
  #playhead = byId("playhead");
  #span = 1;
  #dragging = false;
  #waiting = 0;

  /** @param {State} state @param {import("./player.js").Player} player */
  constructor(state, player) {
    this.state = state;
    this.player = player;
    state.addEventListener("recipe", () => this.#later());
    state.addEventListener("view", () => this.#later());
    new ResizeObserver(() => this.#later()).observe(this.#lane);
    this.#scrub();
    this.fields = new Fields(state, this);
    byId("play").addEventListener("click", () => player.toggle());
    byId("picture").addEventListener("click", () => player.toggle());
    byId("more").addEventListener("click", () => {
      const open = byId("timeline").toggleAttribute("data-more");
      byId("more").setAttribute("aria-expanded", String(open));
    });
    byId("add").addEventListener("click", () => this.add());
    byId("duplicate").addEventListener("click", () => this.duplicate());
    byId("delete").addEventListener("click", () => this.remove());
    this.#later();
  }

  /** Go to a time, and stop playing. @param {number} time */
  seek(time) {
    this.player.stop();
    this.state.look({ time: rounded(clamp(time, 0, this.end()), 4) });
  }

  /** By frames. @param {number} count */
  step(count) {
    const { fps } = this.state.recipe;
    this.seek((Math.round(this.state.view.time * fps) + count) / fps);
  }

  /** To the keyframe before or after. @param {1 | -1} way */
  jump(way) {
    const { time } = this.state.view;
    const times = this.state.recipe.keyframes.map((each) => each.at);
    const found = way > 0 ? times.find((at) => at > time + 0.01) : times.findLast((at) => at < time - 0.01);
    if (found !== undefined) this.seek(found);
  }

  /** A keyframe at the playhead. */
  add() {
    this.player.stop();
    if (keyframeAt(this.state.recipe, this.state.view.time)) {
      say("There is a keyframe here already: move the playhead first");
      return;
    }
    const recipe = added(this.state.recipe, this.state.view.time, this.state.own);
    if (!recipe) say("Too near another keyframe");
    else {
      this.state.edit(recipe);
      say(`Keyframe added at ${clock(this.state.view.time)}`);
    }
  }

  duplicate() {
    const frame = this.current();
    const made = frame && duplicated(this.state.recipe, frame.id);
    if (!made) return;
    this.state.edit(made.recipe);
    this.seek(made.copy.at);
    say(`Keyframe duplicated at ${clock(made.copy.at)}`);
  }

  remove() {
    const frame = this.current();
    if (!frame) return;
    const recipe = removed(this.state.recipe, frame.id);
    if (!recipe) say("The last keyframe stays");
    else {
      this.state.edit(recipe);
      say("Keyframe deleted");
    }
  }

  /** The keyframe at the playhead, if any. */
  current = () => keyframeAt(this.state.recipe, this.state.view.time);

  /** Seconds of one pass, the way back of a loop included. */
  end() {
    const whole = wholeOf(this.state.recipe);
    return endOf(whole[whole.length - 1]);
  }

  #later() {
    this.#waiting ||= requestAnimationFrame(() => {
      this.#waiting = 0;
      this.#show();
    });
  }

  #show() {
    const { recipe, view } = this.state;
    if (!this.#dragging) this.#span = Math.max(0.5, Math.max(this.end(), lengthOf(recipe)) * (1 + ROOM));
    const place = (/** @type {number} */ time) => `${(100 * time) / this.#span}%`;
    if (this.#drawn !== recipe || this.#width !== this.#lane.clientWidth || this.#dragging) {
      this.#drawn = recipe;
      this.#width = this.#lane.clientWidth;
      this.#ruler(place);
      this.#curve();
      this.#keyframes(place);
    }
    this.#playhead.style.left = place(view.time);
    this.#playhead.setAttribute("aria-valuemax", this.end().toFixed(2));
    this.#playhead.setAttribute("aria-valuenow", view.time.toFixed(2));
    this.#playhead.setAttribute("aria-valuetext", `${view.time.toFixed(2)} of ${this.end().toFixed(2)} seconds`);
    byId("time").textContent = `${view.time.toFixed(2)} / ${clock(this.end())}`;
    byId("play").setAttribute("aria-pressed", String(view.playing));
    byId("play").setAttribute("aria-label", view.playing ? "Pause" : "Play");
    byId("stage").toggleAttribute("data-playing", view.playing);
    this.#stripe();
    this.fields.show();
  }

  /** @type {import("./recipe.js").Recipe | null} */
  #drawn = null;
  #width = 0;

  /** @param {(time: number) => string} place */
  #ruler(place) {
    const perSecond = this.#width / this.#span;
    const step = STEPS.find((each) => each * perSecond >= APART) ?? STEPS[STEPS.length - 1];
    const ticks = [];
    for (let i = 0; i * step < this.#span; i++) {
      const tick = make("span", { class: "tick" }, String(rounded(i * step, 1)));
      tick.style.left = place(i * step);
      ticks.push(tick);
    }
    byId("ruler").replaceChildren(...ticks);
    const back = byId("way-back");
    const length = lengthOf(this.state.recipe);
    back.style.left = place(length);
    back.style.width = place(Math.max(0, this.end() - length));
  }

  /** How far the face is from the photo's own expression, over time. */
  #curve() {
    const whole = wholeOf(this.state.recipe);
    const end = this.end();
    const own = this.state.own;
    const sizes = Array.from({ length: SAMPLES + 1 }, (_, i) => {
      let size = 0;
      for (const [channel, [keep, add]] of poseAt(whole, (end * i) / SAMPLES)) {
        size += Math.abs((keep - 1) * (own[channel] ?? 0) + add);
      }
      return size;
    });
    const most = Math.max(...sizes, 4);
    const points = sizes.map((size, i) => {
      const x = (100 * end * i) / SAMPLES / this.#span;
      return `${x.toFixed(2)},${(HEIGHT - (HEIGHT * 0.86 * size) / most).toFixed(1)}`;
    });
    const right = ((100 * end) / this.#span).toFixed(2);
    byId("curve-area").setAttribute("d", `M0,${HEIGHT} L${points.join(" L")} L${right},${HEIGHT} Z`);
    byId("curve-line").setAttribute("d", `M${points.join(" L")}`);
  }

  /** @param {(time: number) => string} place */
  #keyframes(place) {
    const { keyframes } = this.state.recipe;
    const list = byId("keyframes");
    // Kept elements keep focus and pointer while they move.
    const before = new Map([...list.children].map((child) => [child.dataset.id, child]));
    const now = keyframes.map((frame, i) => {
      const element = before.get(String(frame.id)) ?? this.#marker(frame.id);
      before.delete(String(frame.id));
      element.style.left = place(frame.at);
      element.style.setProperty("--hold", `${(frame.hold / this.#span) * this.#width}px`);
      element.setAttribute("aria-label", `Keyframe ${i + 1} of ${keyframes.length}`);
      element.setAttribute("aria-valuenow", String(frame.at));
      element.setAttribute("aria-valuemax", this.end().toFixed(2));
      element.setAttribute("aria-valuetext", `at ${frame.at.toFixed(2)} seconds${frame.hold ? `, held ${frame.hold.toFixed(2)}` : ""}`);
      return element;
    });
    for (const gone of before.values()) gone.remove();
    now.forEach((element, i) => list.children[i] !== element && list.insertBefore(element, list.children[i] ?? null));
  }

  /** @param {number} id */
  #marker(id) {
    const frame = () => this.state.recipe.keyframes.find((each) => each.id === id);
    const go = (/** @type {number} */ time) => {
      const recipe = moved(this.state.recipe, id, time);
      this.state.edit(recipe, `keyframe ${id}`);
      this.seek(recipe.keyframes.find((each) => each.id === id)?.at ?? time);
    };
    const marker = make("button", { type: "button", class: "keyframe", role: "slider", "aria-valuemin": 0, "data-id": id });
    marker.append(make("span", { class: "hold" }), make("span", { class: "diamond" }));
    marker.addEventListener("focus", () => this.seek(frame()?.at ?? 0));
    marker.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!way || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      event.stopPropagation();
      go((frame()?.at ?? 0) + (way * (event.shiftKey ? 10 : 1)) / this.state.recipe.fps);
    });
    marker.addEventListener("blur", () => this.state.rest());
    this.#dragOn(marker, (time, start) => go(Math.round((time - start) / SNAP) * SNAP), () => frame()?.at ?? 0);
    return marker;
  }

  /**
   * @param {HTMLElement} element
   * @param {(time: number, grip: number) => void} move grip: seconds from the element to the pointer
   * @param {() => number} at seconds of the element
   */
  #dragOn(element, move, at) {
    let grip = 0;
    let from = NaN;
    element.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      event.stopPropagation();
      element.focus({ preventScroll: true });
      element.setPointerCapture(event.pointerId);
      grip = this.#timeOf(event) - at();
      from = event.clientX;
      this.seek(at());
    });
    element.addEventListener("pointermove", (event) => {
      if (!element.hasPointerCapture(event.pointerId)) return;
      if (Math.abs(event.clientX - from) < 4 && !this.#dragging) return; // a click that trembles
      this.#dragging = true;
      move(this.#timeOf(event), grip);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      element.addEventListener(end, () => {
        this.#dragging = false;
        this.state.rest();
        this.#later();
      });
    }
  }

  /** @param {PointerEvent} event */
  #timeOf(event) {
    const box = this.#lane.getBoundingClientRect();
    return ((event.clientX - box.left) / box.width) * this.#span;
  }

  #scrub() {
    const seek = (/** @type {PointerEvent} */ event) => {
      const { fps } = this.state.recipe;
      this.seek(Math.round(this.#timeOf(event) * fps) / fps);
    };
    this.#lane.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      this.#lane.setPointerCapture(event.pointerId);
      this.#playhead.focus({ preventScroll: true });
      seek(event);
    });
    this.#lane.addEventListener("pointermove", (event) => {
      if (this.#lane.hasPointerCapture(event.pointerId)) seek(event);
    });
  }

  /** What of the cycle is painted already. */
  #stripe() {
    const canvas = byId("painted");
    const context = canvas.getContext("2d");
    if (!this.state.view.playing) {
      if (canvas.width) canvas.width = 0;
      return;
    }
    canvas.width = this.#width;
    context.fillStyle = getComputedStyle(canvas).color;
    const { frames } = this.player;
    const wide = Math.max(1, this.#width / this.#span / this.state.recipe.fps + 0.5);
    this.player.painted().forEach((painted, i) => {
      if (painted) context.fillRect((frames[i].time / this.#span) * this.#width, 0, wide, canvas.height);
    });
  }
}
