// The words of a meme: above, on top and at the bottom of the picture.

import { byId } from "./dom.js";

const TEXTS = ["top", "bottom", "caption"];

/** @param {import("./state.js").State} state */
export function captions(state) {
  const set = (/** @type {string} */ name, /** @type {string} */ value, gesture = "") => {
    if (state.view.playing) state.look({ playing: false });
    state.look({ near: false }); // captions are of the whole picture
    state.edit({ ...state.recipe, captions: { ...state.recipe.captions, [name]: value } }, gesture);
  };
  for (const name of TEXTS) {
    const field = byId(`caption-${name}`);
    field.addEventListener("input", () => set(name, field.value, `caption ${name}`));
    field.addEventListener("change", () => state.rest());
  }
  byId("caption-style").addEventListener("change", (event) => set("style", event.target.value));
  const refresh = () => {
    for (const name of TEXTS) {
      const field = byId(`caption-${name}`);
      if (field.value !== state.recipe.captions[name]) field.value = state.recipe.captions[name];
    }
    byId("caption-style").value = state.recipe.captions.style;
    const { length } = state.recipe.timed;
    const note = byId("timed-captions");
    note.hidden = length === 0;
    note.textContent =
      length === 1
        ? "The recipe has one more caption with times or a style of its own; it is kept."
        : `The recipe has ${length} more captions with times or styles of their own; they are kept.`;
  };
  state.addEventListener("recipe", refresh);
  refresh();
}
