// The picture, the photo it is made from, and the faces to choose from.

import * as api from "./api.js";
import { attempt, byId, make, say } from "./dom.js";
import { asked, poseAt, wholeOf } from "./track.js";
import { askedCaptions } from "./recipe.js";
import { keyOf } from "./preview.js";

/** @typedef {import("./state.js").State} State */

/** Pixels of the longer side of previews: of the whole photo, and at most where it is near. */
const SIDES = [384, 512, 640];
const MOST_SIDE = 1280;
const STEP = 128; // pixels that these go in, so that the server prepares few
const AROUND = 2.1; // heights of a face that are seen where it is near
const AGAIN = 5000; // milliseconds before a server that is gone is tried again
const SMALL = 0.4; // of the photo's shorter side: a smaller face is seen near at first

/** The part of the page that shows the photo. */
export class Stage {
  /** The photo as it was given, so that a server that forgot it can be given it again. @type {Blob | null} */
  #file = null;
  /** @type {Blob | null} */
  #original = null;
  #drawn = 0;
  #waiting = 0;
  #comparing = false;
  #giving = false;

  /** @param {State} state @param {import("./preview.js").Preview} preview */
  constructor(state, preview) {
    this.state = state;
    this.preview = preview;
    /** @type {HTMLCanvasElement} */
    this.canvas = byId("picture");
    preview.lost = () => this.#giveAgain();
    state.addEventListener("recipe", () => this.refresh());
    state.addEventListener("view", (event) => {
      const change = /** @type {CustomEvent} */ (event).detail;
      if (!this.state.view.playing && ("time" in change || "face" in change || "near" in change || "playing" in change)) {
        this.refresh();
      }
      if (["photo", "face", "near", "playing"].some((name) => name in change)) this.#showFaces();
    });
    this.#listen();
  }

  /**
   * What the server is asked for an expression.
   * @param {Record<string, number>} expression
   * @returns {import("./preview.js").Order}
   */
  orderOf = (expression) => ({
    face: this.state.view.all ? "all" : this.state.view.face,
    expression,
    side: this.#side(),
    captions: this.state.view.near ? undefined : askedCaptions(this.state.recipe.captions),
  });

  /** The part of the photo that is seen: x, y, width and height, in shares of it. */
  #part() {
    const { photo, face, near } = this.state.view;
    const box = photo?.faces[face]?.box;
    if (!photo || !box || !near) return [0, 0, 1, 1];
    const [x, y, width, height] = box;
    const room = byId("stage");
    const high = Math.min(photo.height, Math.max(width, height) * AROUND);
    const wide = Math.min(photo.width, (high * room.clientWidth) / room.clientHeight);
    const left = Math.min(Math.max(0, x + width / 2 - wide / 2), photo.width - wide);
    const top = Math.min(Math.max(0, y + height / 2 - high / 2), photo.height - high);
    return [left / photo.width, top / photo.height, wide / photo.width, high / photo.height];
  }

  #side() {
    const { photo } = this.state.view;
    const room = byId("stage");
    const dense = Math.min(devicePixelRatio, 1.5);
    const wanted = Math.min(room.clientWidth, room.clientHeight) * dense;
    const [, , , high] = this.#part();
    if (!photo || high === 1) return SIDES.find((side) => side >= wanted * 0.8) ?? SIDES[1];
    const needed = ((wanted * 0.8) / high / photo.height) * Math.max(photo.width, photo.height);
    return Math.min(MOST_SIDE, Math.max(SIDES[0], Math.ceil(needed / STEP) * STEP));
  }

  /** Ask for what the playhead is at, at the next moment that can be seen. */
  refresh() {
    if (this.#waiting || !this.state.view.photo) return;
    this.#waiting = requestAnimationFrame(() => {
      this.#waiting = 0;
      if (this.state.view.playing || this.#comparing) return;
      const pose = poseAt(wholeOf(this.state.recipe), this.state.view.time);
      const order = this.orderOf(asked(pose, this.state.own));
      this.wanted = keyOf(order);
      this.preview.show({
        order,
        done: (picture) => !this.state.view.playing && this.draw(picture),
        failed: (message) => this.#failed(message),
      });
    });
  }

  /** @param {Blob} picture @param {"preview" | "photo"} shows what it is */
  draw = async (picture, shows = "preview") => {
    const turn = ++this.#drawn;
    const bitmap = await createImageBitmap(picture);
    if (turn < this.#drawn) return; // a later one is on its way
    const [x, y, wide, high] = this.#part();
    const [width, height] = [Math.round(wide * bitmap.width), Math.round(high * bitmap.height)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
      this.#fit();
    }
    this.canvas.getContext("2d")?.drawImage(bitmap, -Math.round(x * bitmap.width), -Math.round(y * bitmap.height));
    this.canvas.dataset.painted = String(turn);
    this.canvas.dataset.shows = shows;
    bitmap.close();
  };

  /** As large as the stage lets it be. */
  #fit() {
    const frame = byId("frame");
    const style = getComputedStyle(byId("stage"));
    const room = byId("stage").getBoundingClientRect();
    const padding = 2 * parseFloat(style.paddingTop);
    const { width, height } = this.canvas;
    const scale = Math.min((room.width - padding) / width, (room.height - padding) / height);
    frame.style.width = `${Math.round(width * scale)}px`;
    frame.style.height = `${Math.round(height * scale)}px`;
  }

  /** Another photo. @param {Blob | null} file none: the sample */
  async open(file) {
    byId("stage").dataset.busy = "photo";
    const photo = await attempt(() => (file ? api.addPhoto(file) : api.samplePhoto()));
    delete byId("stage").dataset.busy;
    if (!photo) return false;
    const before = this.state.view.photo;
    if (before && before.id !== photo.id && this.#file) api.forgetPhoto(before.id).catch(() => {});
    this.#file = file;
    this.#original = (await attempt(() => api.picture(photo.id, 640))) ?? null;
    const face = photo.faces[0];
    const share = face ? Math.max(face.box[2], face.box[3]) / Math.min(photo.width, photo.height) : 1;
    this.preview.open(photo.id);
    this.state.look({ photo, face: 0, all: false, near: photo.faces.length === 1 && share < SMALL && !askedCaptions(this.state.recipe.captions) });
    if (this.#original) await this.draw(this.#original, "photo");
    const faces = photo.faces.length === 1 ? "one face" : `${photo.faces.length} faces`;
    byId("status").textContent = `Photo opened, ${faces}`;
    return true;
  }

  /** A picture could not be painted: because the server forgot the photo, or it says why. @param {string} message */
  async #failed(message) {
    const { photo } = this.state.view;
    try {
      if (photo) await api.picture(photo.id, 16);
      say(message, "error");
    } catch {
      this.#giveAgain();
    }
  }

  /** The server forgot the photo, or was started again. */
  async #giveAgain() {
    if (this.#giving) return;
    this.#giving = true;
    const face = this.state.view.face;
    try {
      const photo = await (this.#file ? api.addPhoto(this.#file) : api.samplePhoto());
      this.preview.open(photo.id);
      this.state.look({ photo, face: Math.min(face, photo.faces.length - 1) });
    } catch (error) {
      say(error instanceof Error ? error.message : String(error), "error");
      setTimeout(() => this.#giveAgain(), AGAIN);
    } finally {
      this.#giving = false;
    }
  }

  /** Show the photo as it was, or what became of it. @param {boolean} on */
  compare(on) {
    this.#comparing = on;
    byId("compare").setAttribute("aria-pressed", String(on));
    if (on && this.#original) this.draw(this.#original, "photo");
    if (!on) this.refresh();
  }

  #showFaces() {
    const { photo, face, all, near, playing } = this.state.view;
    const faces = photo?.faces ?? [];
    const choice = byId("face");
    byId("face-field").hidden = faces.length < 2;
    choice.replaceChildren(
      ...faces.map((_, i) => make("option", { value: i, selected: i === face && !all }, `Face ${i + 1}`)),
      make("option", { value: "all", selected: all }, "All faces"),
    );
    const boxes = byId("faces");
    boxes.hidden = playing || near || faces.length < 2 || !photo;
    byId("zoom").setAttribute("aria-pressed", String(near));
    if (!photo || boxes.hidden) return;
    boxes.replaceChildren(
      ...faces.map((each, i) => {
        const [left, top, width, height] = each.box;
        const box = make("button", {
          class: "face-box",
          type: "button",
          tabindex: -1, // the list beside the photo is for keyboards
          "aria-hidden": "true",
          "data-chosen": i === face || all,
          onclick: () => this.state.look({ face: i, all: false }),
        });
        box.style.left = `${(100 * left) / photo.width}%`;
        box.style.top = `${(100 * top) / photo.height}%`;
        box.style.width = `${(100 * width) / photo.width}%`;
        box.style.height = `${(100 * height) / photo.height}%`;
        return box;
      }),
    );
  }

  #listen() {
    const input = byId("photo-file");
    byId("change-photo").addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      if (input.files?.[0]) this.open(input.files[0]);
      input.value = "";
    });
    byId("use-sample").addEventListener("click", () => this.open(null));
    byId("face").addEventListener("change", (event) => {
      // Of all faces, sliders show what the largest does.
      const all = event.target.value === "all";
      this.state.look({ face: all ? 0 : Number(event.target.value), all });
    });
    byId("zoom").addEventListener("click", () => this.state.look({ near: !this.state.view.near }));
    new ResizeObserver(() => {
      this.#fit();
      this.refresh();
    }).observe(byId("stage"));
    const compare = byId("compare");
    compare.addEventListener("pointerdown", () => this.compare(true));
    for (const end of ["pointerup", "pointerleave", "pointercancel", "blur"]) {
      compare.addEventListener(end, () => this.#comparing && this.compare(false));
    }
    compare.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      event.stopPropagation();
      if (!event.repeat) this.compare(!this.#comparing);
    });
    this.#listenForDrops();
  }

  #listenForDrops() {
    let inside = 0;
    const stage = byId("stage");
    const over = (/** @type {number} */ step) => {
      inside = Math.max(0, inside + step);
      if (inside) stage.dataset.drop = "";
      else delete stage.dataset.drop;
    };
    addEventListener("dragenter", (event) => event.dataTransfer?.types.includes("Files") && over(1));
    addEventListener("dragleave", (event) => event.dataTransfer?.types.includes("Files") && over(-1));
    addEventListener("dragover", (event) => event.preventDefault());
    addEventListener("drop", (event) => {
      event.preventDefault();
      over(-inside);
      const file = event.dataTransfer?.files[0];
      if (!file) return;
      if (/\.ya?ml$/i.test(file.name)) document.dispatchEvent(new CustomEvent("open-recipe", { detail: file }));
      else this.open(file);
    });
    addEventListener("paste", (event) => {
      const file = event.clipboardData?.files[0];
      if (file) this.open(file);
    });
  }
}
