// The picture, the photo it is made from, and the faces to choose from.

import * as api from "./api.js";
import { attempt, byId, make, say } from "./dom.js";
import { asked, poseAt, wholeOf } from "./track.js";
import { askedCaptions } from "./recipe.js";
import { keyOf } from "./preview.js";

/** @typedef {import("./state.js").State} State */

/** Pixels of the longer side of previews. */
const SIDES = [384, 512, 640];

/** The part of the page that shows the photo. */
export class Stage {
  /** The photo as it was given, so that a server that forgot it can be given it again. @type {Blob | null} */
  #file = null;
  /** @type {Blob | null} */
  #original = null;
  #drawn = 0;
  #waiting = 0;
  #comparing = false;

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
      if (!this.state.view.playing && ("time" in change || "face" in change || "playing" in change)) {
        this.refresh();
      }
      if ("photo" in change || "face" in change || "playing" in change) this.#showFaces();
    });
    this.#listen();
  }

  /** What the server is asked for an expression. @param {Record<string, number>} expression */
  orderOf = (expression) => ({
    face: this.state.view.face,
    expression,
    side: this.#side(),
    captions: askedCaptions(this.state.recipe.captions),
  });

  #side() {
    const wanted = Math.max(this.canvas.clientWidth, 256) * Math.min(devicePixelRatio, 2);
    return SIDES.find((side) => side >= wanted * 0.8) ?? SIDES[1];
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
        failed: (message) => say(message, "error"),
      });
    });
  }

  /** @param {Blob} picture */
  draw = async (picture) => {
    const turn = ++this.#drawn;
    const bitmap = await createImageBitmap(picture);
    if (turn < this.#drawn) return; // a later one is on its way
    if (this.canvas.width !== bitmap.width || this.canvas.height !== bitmap.height) {
      this.canvas.width = bitmap.width;
      this.canvas.height = bitmap.height;
    }
    this.canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
    this.canvas.dataset.painted = String(turn);
    bitmap.close();
  };

  /** Another photo. @param {Blob | null} file none: the sample */
  async open(file) {
    byId("stage").dataset.busy = "photo";
    const photo = await attempt(() => (file ? api.addPhoto(file) : api.samplePhoto()));
    delete byId("stage").dataset.busy;
    if (!photo) return false;
    const before = this.state.view.photo;
    if (before && before.id !== photo.id) api.forgetPhoto(before.id).catch(() => {});
    this.#file = file;
    this.#original = (await attempt(() => api.picture(photo.id, 640))) ?? null;
    if (this.#original) await this.draw(this.#original);
    this.preview.open(photo.id);
    this.state.look({ photo, face: 0 });
    const faces = photo.faces.length === 1 ? "one face" : `${photo.faces.length} faces`;
    byId("status").textContent = `Photo opened, ${faces}`;
    return true;
  }

  /** The server forgot the photo, or was started again. */
  async #giveAgain() {
    const face = this.state.view.face;
    try {
      const photo = await (this.#file ? api.addPhoto(this.#file) : api.samplePhoto());
      this.preview.open(photo.id);
      this.state.look({ photo, face: Math.min(face, photo.faces.length - 1) });
    } catch (error) {
      say(error instanceof Error ? error.message : String(error), "error");
      setTimeout(() => this.#giveAgain(), 5000);
    }
  }

  /** Show the photo as it was, or what became of it. @param {boolean} on */
  compare(on) {
    this.#comparing = on;
    byId("compare").setAttribute("aria-pressed", String(on));
    if (on && this.#original) this.draw(this.#original);
    if (!on) this.refresh();
  }

  #showFaces() {
    const { photo, face, playing } = this.state.view;
    const faces = photo?.faces ?? [];
    const choice = byId("face");
    byId("face-field").hidden = faces.length < 2;
    choice.replaceChildren(
      ...faces.map((_, i) => make("option", { value: i, selected: i === face }, `Face ${i + 1}`)),
    );
    const boxes = byId("faces");
    boxes.hidden = playing || faces.length < 2 || !photo;
    if (!photo || boxes.hidden) return;
    boxes.replaceChildren(
      ...faces.map((each, i) => {
        const [left, top, width, height] = each.box;
        const box = make("button", {
          class: "face-box",
          type: "button",
          tabindex: -1, // the list beside the photo is for keyboards
          "aria-hidden": "true",
          "data-chosen": i === face,
          onclick: () => this.state.look({ face: i }),
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
      this.state.look({ face: Number(event.target.value) });
    });
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
