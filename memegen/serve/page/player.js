// Playing at the real frame rate: what is painted is shown on time, what is not yet is left out.

import { keyOf } from "./preview.js";
import { poseAt, asked, timesOf, wholeOf } from "./track.js";

/** @typedef {import("./preview.js").Order} Order */

const SLACK = 1.2; // how much later than usual a picture may come and still be on time
const LATE = 0.2; // seconds by which a picture may be late and still be shown
const MOST_FRAMES = 3000; // of a cycle that are asked for ahead

/** The frames of a cycle, and which of them is shown when. */
export class Player {
  /** @type {{time: number, order: Order, key: string}[]} */
  frames = [];
  #started = 0;
  #first = 0;
  #tick = 0;
  #seen = -1;
  /** Whether the frame that is due is not painted yet. */
  #missing = false;

  /**
   * @param {import("./state.js").State} state
   * @param {import("./preview.js").Preview} preview
   * @param {(expression: Record<string, number>) => Order} orderOf
   * @param {(picture: Blob) => void} draw
   */
  constructor(state, preview, orderOf, draw) {
    this.state = state;
    this.preview = preview;
    this.orderOf = orderOf;
    this.draw = draw;
    preview.supply(() => this.#ahead());
  }

  /** What of the cycle is painted already, for each frame. */
  painted = () => this.frames.map((frame) => this.preview.kept.has(frame.key));

  toggle() {
    if (this.state.view.playing) this.stop();
    else this.start();
  }

  start() {
    this.plan();
    if (this.frames.length < 2) return;
    const { time } = this.state.view;
    const found = this.frames.findIndex((frame) => frame.time >= time - 1e-6);
    this.#first = found < 0 || found === this.frames.length - 1 ? 0 : found;
    this.#started = performance.now();
    this.#seen = -1;
    this.state.look({ playing: true });
    this.preview.pump();
    this.#tick = requestAnimationFrame(() => this.#step());
  }

  stop() {
    cancelAnimationFrame(this.#tick);
    if (this.state.view.playing) this.state.look({ playing: false });
  }

  /** Take up a changed recipe. */
  plan() {
    const { recipe, own } = this.state;
    const whole = wholeOf(recipe);
    this.frames = timesOf(recipe)
      .slice(0, MOST_FRAMES)
      .map((time) => {
        const order = this.orderOf(asked(poseAt(whole, time), own));
        return { time, order, key: keyOf(order) };
      });
  }

  /** The frame that is due in so many milliseconds. @param {number} ahead */
  #due(ahead = 0) {
    const elapsed = (performance.now() - this.#started + ahead) / 1000;
    const frame = this.#first + Math.floor(elapsed * this.state.recipe.fps);
    return this.state.recipe.loop === "once"
      ? Math.min(frame, this.frames.length - 1)
      : frame % this.frames.length;
  }

  #step() {
    if (!this.state.view.playing) return;
    const due = this.#due();
    if (due !== this.#seen) {
      const frame = this.frames[due];
      const picture = this.preview.kept.get(frame.key);
      if (picture) this.draw(picture);
      this.#missing = !picture;
      this.#seen = due;
      this.state.look({ time: frame.time });
      if (this.state.recipe.loop === "once" && due === this.frames.length - 1) {
        this.stop();
        return;
      }
    }
    this.#tick = requestAnimationFrame(() => this.#step());
  }

  /**
   * A picture came while it plays: one that is hardly late is shown still.
   * @param {number} index of its frame
   * @param {Blob} picture
   */
  #came(index, picture) {
    if (!this.state.view.playing) return;
    const due = this.#due();
    const late = (due - index + this.frames.length) % this.frames.length;
    if (late > 0 && late <= LATE * this.state.recipe.fps && this.#missing) this.draw(picture);
  }

  /** The next frame that is not painted, from the first that can still be in time. */
  #ahead() {
    if (!this.state.view.playing) return null;
    const from = this.#due(this.preview.latency * SLACK);
    for (let i = 0; i < this.frames.length; i++) {
      const index = (from + i) % this.frames.length;
      const { order, key } = this.frames[index];
      if (!this.preview.kept.has(key)) {
        return { order, done: (/** @type {Blob} */ picture) => this.#came(index, picture) };
      }
    }
    return null;
  }
}
