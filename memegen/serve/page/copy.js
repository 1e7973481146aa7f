// An expression from somewhere else: a second photo, a clip, or a still of the webcam.

import * as api from "./api.js";
import { attempt, byId, say } from "./dom.js";
import { pose } from "./shape.js";
import { simplified } from "./simplify.js";
import { GAZE, HEAD, MOST } from "./units.js";

/** @typedef {Record<string, number>} Expression */

const FAINT = 0.2; // of 5: what shows less is as good as nothing, and set to nothing
const PHOTO_PIXELS = 1280; // of the longer side of a webcam's still

/**
 * What a face of another picture shows, as this one is asked for it.
 * @param {Expression} read
 * @param {boolean} posed with head and gaze
 * @param {string[]} channels all there are
 * @returns {Expression}
 */
export function copied(read, posed, channels) {
  /** @type {Expression} */
  const expression = {};
  for (const channel of channels) {
    if (!posed && (HEAD.has(channel) || GAZE.has(channel))) continue;
    const value = Math.min(MOST, read[channel] ?? 0);
    expression[channel] = value < FAINT ? 0 : Math.round(value * 10) / 10;
  }
  return expression;
}

/** The dialog. */
export class Copy {
  /** @type {MediaStream | null} */
  #stream = null;

  /**
   * @param {import("./state.js").State} state
   * @param {string[]} channels
   * @param {(recipe: import("./recipe.js").Recipe) => void} load
   */
  constructor(state, channels, load) {
    this.state = state;
    this.channels = channels;
    this.load = load;
    this.dialog = byId("copy");
    const file = byId("copy-file");
    byId("open-copy").addEventListener("click", () => this.dialog.showModal());
    byId("copy-choose").addEventListener("click", () => file.click());
    file.addEventListener("change", () => {
      if (file.files?.[0]) this.#take(file.files[0]);
      file.value = "";
    });
    byId("copy-webcam").addEventListener("click", () => this.#watch());
    byId("copy-still").addEventListener("click", () => this.#still());
    byId("copy-webcam").hidden = !navigator.mediaDevices?.getUserMedia;
    this.dialog.addEventListener("close", () => this.#release());
  }

  /** @param {Blob} file */
  async #take(file) {
    this.dialog.dataset.busy = "";
    const answer = await attempt(() => api.expressionsOf(file, "source"));
    delete this.dialog.dataset.busy;
    if (!answer) return;
    const posed = byId("copy-pose").checked;
    if (answer.frames) this.#takeClip(answer, posed);
    else if (!answer.faces?.length) {
      say("No face was found there", "error");
      return;
    } else {
      pose(this.state, { expression: copied(answer.faces[0].expression, posed, this.channels), offset: {} });
      say("Expression copied");
    }
    this.dialog.close();
  }

  /** @param {{fps: number, frames: any[]}} clip @param {boolean} posed */
  #takeClip(clip, posed) {
    const seen = clip.frames
      .map((frame, i) => ({ time: frame?.seconds ?? i / clip.fps, read: frame?.expression }))
      .filter((each) => each.read);
    if (!seen.length) {
      say("No face was found there", "error");
      return;
    }
    const poses = seen.map(({ time, read }) => ({ time: time - seen[0].time, expression: copied(read, posed, this.channels) }));
    const keyframes = simplified(poses);
    this.load({ ...this.state.recipe, keyframes, loop: "boomerang" });
    say(`${keyframes.length} keyframes copied from the clip`);
  }

  async #watch() {
    await attempt(async () => {
      try {
        this.#stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: PHOTO_PIXELS } }, audio: false });
      } catch {
        throw new Error("The camera cannot be used: the browser or the system forbids it");
      }
      const video = byId("webcam");
      video.srcObject = this.#stream;
      await video.play();
      byId("webcam-field").hidden = false;
      byId("copy-sources").hidden = true;
      byId("copy-still").focus();
    });
  }

  async #still() {
    const video = byId("webcam");
    const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
    canvas.getContext("2d")?.drawImage(video, 0, 0);
    await this.#take(await canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 }));
  }

  #release() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    byId("webcam").srcObject = null;
    byId("webcam-field").hidden = true;
    byId("copy-sources").hidden = false;
  }
}
