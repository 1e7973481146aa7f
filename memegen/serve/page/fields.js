// The numbers below the timeline: the keyframe at the playhead, and the recipe's length, rate and loop.

import { byId, clamp, rounded } from "./dom.js";
import { changed, held, moved, stretched } from "./recipe.js";
import { lengthOf } from "./track.js";

/** The fields. */
export class Fields {
  /** @param {import("./state.js").State} state @param {import("./timeline.js").Timeline} timeline */
  constructor(state, timeline) {
    this.state = state;
    this.timeline = timeline;
    const on = (/** @type {string} */ id, /** @type {(value: number) => void} */ change) =>
      byId(id).addEventListener("change", (event) => {
        const value = Number(event.target.value);
        if (event.target.value !== "" && Number.isFinite(value)) change(value);
        this.show(true);
      });
    on("at", (value) => {
      const frame = timeline.current();
      if (!frame) return;
      const recipe = moved(state.recipe, frame.id, value);
      state.edit(recipe);
      timeline.seek(recipe.keyframes.find((each) => each.id === frame.id)?.at ?? value);
    });
    on("hold", (value) => {
      const frame = timeline.current();
      if (frame) state.edit(held(state.recipe, frame.id, value));
    });
    byId("ease").addEventListener("change", (event) => {
      const frame = timeline.current();
      if (frame) state.edit(changed(state.recipe, frame.id, { ease: event.target.value }));
    });
    on("length", (value) => {
      const share = state.view.time / (timeline.end() || 1);
      state.edit(stretched(state.recipe, value));
      timeline.seek(share * timeline.end());
    });
    on("fps", (value) => state.edit({ ...state.recipe, fps: clamp(value, 1, 120) }));
    for (const radio of document.querySelectorAll('input[name="loop"]')) {
      radio.addEventListener("change", () => {
        state.edit({ ...state.recipe, loop: /** @type {any} */ (radio).value });
        timeline.seek(state.view.time);
      });
    }
  }

  /** @param {boolean} [all] also the one that is written in */
  show(all = false) {
    const { recipe, view } = this.state;
    const frame = view.playing ? undefined : this.timeline.current();
    const put = (/** @type {string} */ id, /** @type {string} */ value) => {
      const field = byId(id);
      if (field.value !== value && (all || document.activeElement !== field)) field.value = value;
    };
    put("at", frame ? String(frame.at) : "");
    put("hold", frame ? String(frame.hold) : "");
    put("ease", frame?.ease ?? "in-out");
    put("length", String(rounded(lengthOf(recipe))));
    put("fps", String(recipe.fps));
    for (const id of ["at", "hold", "ease", "duplicate", "delete"]) byId(id).disabled = !frame;
    for (const marker of byId("keyframes").children) {
      marker.toggleAttribute("data-current", marker.dataset.id === String(frame?.id));
    }
    for (const radio of document.querySelectorAll('input[name="loop"]')) {
      /** @type {any} */ (radio).checked = /** @type {any} */ (radio).value === recipe.loop;
    }
  }
}
