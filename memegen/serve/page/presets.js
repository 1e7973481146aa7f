// The shipped recipes, shown on the photo itself: a whole timeline, or its strongest expression.

import * as api from "./api.js";
import { attempt, byId, make, say } from "./dom.js";
import { keyOf } from "./preview.js";
import { fromServer } from "./recipe.js";
import { pose } from "./shape.js";
import { asked, endOf, keyedPose, strongest, wholeOf } from "./track.js";

/**
 * @typedef {import("./recipe.js").Recipe} Recipe
 * @typedef {{name: string, canvas: HTMLCanvasElement, recipe: Recipe | null, key: string}} Tile
 */

const PIXELS = 160; // a side of a tile's picture
const MARGIN = 0.22; // of the face's box, shown around it

/** The tiles. */
export class Presets {
  /** Tiles that can be seen and are not painted. @type {Set<Tile>} */
  #waiting = new Set();
  #reading = Promise.resolve();

  /**
   * @param {import("./state.js").State} state
   * @param {import("./stage.js").Stage} stage
   * @param {(recipe: Recipe) => void} load
   */
  constructor(state, stage, load) {
    this.state = state;
    this.stage = stage;
    this.load = load;
    stage.preview.supply(() => this.#next());
  }

  /** Ask for the recipes and show their tiles. */
  async open() {
    const list = await attempt(api.recipes);
    if (!list) return;
    /** @type {Tile[]} */
    const tiles = [];
    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        const tile = tiles.find((each) => each.canvas === entry.target);
        if (!tile) continue;
        if (entry.isIntersecting) this.#want(tile);
        else this.#waiting.delete(tile);
      }
    }, { rootMargin: "80px" });
    for (const { name, description } of list) {
      const canvas = make("canvas", { width: PIXELS, height: PIXELS, "aria-hidden": "true" });
      const tile = { name, canvas, recipe: null, key: "" };
      tiles.push(tile);
      const button = make("button", { type: "button", class: "tile", title: description, "data-recipe": name, onclick: () => this.#take(tile) }, canvas, make("span", {}, name));
      byId("tiles").append(button);
      seen.observe(canvas);
    }
    this.state.addEventListener("view", (event) => {
      const { photo, face } = /** @type {CustomEvent} */ (event).detail;
      if (photo === undefined && face === undefined) return;
      for (const tile of tiles) {
        tile.key = "";
        tile.canvas.removeAttribute("data-painted");
        seen.unobserve(tile.canvas);
        seen.observe(tile.canvas);
      }
    });
    byId("preset-search").addEventListener("input", (event) => {
      const words = event.target.value.trim().toLowerCase();
      for (const button of byId("tiles").children) {
        button.hidden = !`${button.dataset.recipe} ${button.title}`.toLowerCase().includes(words);
      }
    });
  }

  /** @param {Tile} tile @returns {Promise<Recipe>} */
  async #recipeOf(tile) {
    if (!tile.recipe) {
      const given = await api.recipe(tile.name);
      tile.recipe = fromServer(given.recipe ?? given, this.state.view.sided);
    }
    return tile.recipe;
  }

  /** One after the other, so that a tile that is chosen need not wait for all. @param {Tile} tile */
  #want(tile) {
    if (tile.key || !this.state.view.photo) return;
    this.#reading = this.#reading.then(async () => {
      try {
        await this.#recipeOf(tile);
      } catch {
        return; // it says so when it is chosen
      }
      this.#waiting.add(tile);
      this.stage.preview.pump();
    });
  }

  /** Work for a quiet moment. */
  #next() {
    const { photo, playing } = this.state.view;
    const [tile] = this.#waiting;
    if (!tile?.recipe || !photo || playing) return null;
    this.#waiting.delete(tile);
    const order = { ...this.stage.orderOf(asked(strongest(tile.recipe), this.state.own)), face: this.state.view.face, captions: undefined };
    tile.key = keyOf(order);
    const face = photo.faces[order.face];
    return { order, done: (/** @type {Blob} */ picture) => this.#paint(tile, picture, photo, face) };
  }

  /**
   * @param {Tile} tile
   * @param {Blob} picture
   * @param {import("./api.js").Photo} photo
   * @param {import("./api.js").Face} face
   */
  async #paint(tile, picture, photo, face) {
    const bitmap = await createImageBitmap(picture);
    const scale = bitmap.width / photo.width;
    const [x, y, width, height] = face.box.map((value) => value * scale);
    const side = Math.min(Math.max(width, height) * (1 + 2 * MARGIN), bitmap.width, bitmap.height);
    const left = Math.min(Math.max(0, x + width / 2 - side / 2), bitmap.width - side);
    const top = Math.min(Math.max(0, y + height / 2 - side / 2), bitmap.height - side);
    tile.canvas.getContext("2d")?.drawImage(bitmap, left, top, side, side, 0, 0, PIXELS, PIXELS);
    tile.canvas.dataset.painted = "";
    bitmap.close();
  }

  /** @param {Tile} tile */
  async #take(tile) {
    const recipe = await attempt(() => this.#recipeOf(tile));
    if (!recipe) return;
    if (byId("preset-whole").checked) {
      this.load({ ...recipe, captions: this.state.recipe.captions });
      const whole = wholeOf(recipe);
      say(`${tile.name}: ${recipe.keyframes.length} keyframes, ${endOf(whole[whole.length - 1]).toFixed(1)} s`);
    } else {
      pose(this.state, keyedPose(strongest(recipe), this.state.own));
      say(`${tile.name} at ${this.state.view.time.toFixed(2)} s`);
    }
  }
}
