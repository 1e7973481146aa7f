// The dialog that renders the animation and saves it: format or platform, size, progress, cancel.

import * as api from "./api.js";
import { attempt, byId, make, say } from "./dom.js";
import { askedCaptions, toServer } from "./recipe.js";
import { save } from "./save.js";
import { fileName } from "./text.js";

/** @typedef {{name: string, suffix: string, animated: boolean, platforms: string[]}} Format */

const POLL = 250; // milliseconds between questions how far it is
const FIRST = ["gif", "mp4", "webp"]; // the formats that stand first
const WORDS = { gif: "GIF", mp4: "MP4", webp: "WebP", png: "APNG", webm: "WebM", apng: "APNG" };

/** @param {string} name of a platform: `discord-sticker` */
const titled = (name) =>
  name.split("-").map((word) => word[0].toUpperCase() + word.slice(1)).join(" ").replace("Whatsapp", "WhatsApp");

/** The dialog. */
export class Download {
  /** The job that is being waited for. @type {string | null} */
  #job = null;

  /** @param {import("./state.js").State} state */
  constructor(state) {
    this.state = state;
    this.dialog = byId("download");
    byId("open-download").addEventListener("click", () => this.open());
    byId("render").addEventListener("click", () => this.#render());
    byId("cancel-render").addEventListener("click", () => this.#cancel());
    this.dialog.addEventListener("close", () => this.#cancel());
  }

  open() {
    this.state.look({ playing: false });
    this.dialog.showModal();
  }

  /** Fill in what the server can write. */
  async prepare() {
    /** @type {Format[] | undefined} */
    const formats = await attempt(api.formats);
    if (!formats) return;
    const animated = formats.filter((format) => format.animated);
    const rank = (/** @type {Format} */ { name }) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
    const plain = [...animated].sort((a, b) => rank(a) - rank(b));
    byId("formats").replaceChildren(
      ...plain.map((format, i) => choice(format, null, WORDS[format.name] ?? format.name.toUpperCase(), "", i === 0)),
    );
    const stickers = [...animated].sort((a, b) => rank(a) - rank(b)).flatMap((format) => format.platforms.map((platform) => ({ format, platform })));
    byId("platforms").replaceChildren(
      ...stickers.map(({ format, platform }) => choice(format, platform, titled(platform), WORDS[format.name] ?? format.name, false)),
    );
    this.dialog.addEventListener("change", () => {
      byId("side-field").toggleAttribute("data-off", Boolean(this.#chosen().platform));
      byId("side").disabled = Boolean(this.#chosen().platform);
    });
  }

  /** @returns {{format: string, suffix: string, platform: string | null}} */
  #chosen() {
    const { dataset } = /** @type {any} */ (this.dialog.querySelector('input[name="format"]:checked'));
    return { format: dataset.format, suffix: dataset.suffix, platform: dataset.platform ?? null };
  }

  #order() {
    const { format, platform } = this.#chosen();
    return {
      recipe: toServer(this.state.recipe, { captions: false }),
      face: this.state.view.all ? "all" : this.state.view.face,
      format,
      platform,
      side: Number(byId("side").value),
      intensity: 1,
      captions: askedCaptions(this.state.recipe.captions),
    };
  }

  async #render() {
    const { photo } = this.state.view;
    if (!photo) return;
    this.#show(true);
    try {
      const { suffix, platform } = this.#chosen();
      const job = (this.#job = await api.render(photo.id, this.#order()));
      const content = await this.#wait(job);
      if (!content) return;
      const ending = suffix.startsWith(".") ? suffix : `.${suffix}`;
      const name = [fileName(this.state.recipe.name), platform].filter(Boolean).join("_");
      save(content, name + ending);
      say(`${name}${ending} saved, ${kilobytes(content.size)}`);
      this.#job = null;
      this.dialog.close();
    } catch (error) {
      this.#say(error instanceof Error ? error.message : String(error));
    } finally {
      this.#job = null;
      this.#show(false);
    }
  }

  /**
   * The file, or null where it was cancelled.
   * @param {string} id
   */
  async #wait(id) {
    for (;;) {
      const job = await api.job(id);
      if (this.#job !== id) return null;
      const percent = Math.round(100 * job.progress);
      byId("progress").value = job.progress;
      byId("progress-text").textContent = job.state === "queued" ? "Waiting for its turn" : `${percent} %`;
      if (job.state === "done") return api.result(id);
      if (job.state === "failed") throw new Error(job.error ?? "It could not be rendered");
      if (job.state === "cancelled") return null;
      await new Promise((resolve) => setTimeout(resolve, POLL));
    }
  }

  #cancel() {
    const job = this.#job;
    if (!job) return;
    this.#job = null;
    api.cancel(job).catch(() => {}); // it is done already, then
    this.#show(false);
    say("Cancelled");
  }

  /** @param {boolean} rendering */
  #show(rendering) {
    byId("render").hidden = rendering;
    byId("rendering").hidden = !rendering;
    byId("format-fields").disabled = rendering;
    byId("progress").value = 0;
    byId("progress-text").textContent = "";
    if (rendering) {
      this.#say("");
      byId("cancel-render").focus();
    }
  }

  /** @param {string} problem */
  #say(problem) {
    byId("download-error").textContent = problem;
    byId("download-error").hidden = !problem;
  }
}

/**
 * @param {Format} format
 * @param {string | null} platform
 * @param {string} title
 * @param {string} note
 * @param {boolean} checked
 */
const choice = (format, platform, title, note, checked) =>
  make(
    "label",
    { class: "choice" },
    make("input", { type: "radio", name: "format", checked, "data-format": format.name, "data-suffix": format.suffix, "data-platform": platform }),
    make("span", {}, title, note && make("small", {}, note)),
  );

/** @param {number} bytes */
const kilobytes = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
