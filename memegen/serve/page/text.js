// The recipe as text: named, opened, saved, read and written by hand.

import * as api from "./api.js";
import { attempt, byId, say } from "./dom.js";
import { begun, fromServer, toServer } from "./recipe.js";
import { save } from "./save.js";

const REST = 300; // milliseconds after a change before the text follows

/**
 * @param {import("./state.js").State} state
 * @param {(recipe: import("./recipe.js").Recipe) => void} load
 */
export function recipeText(state, load) {
  const text = byId("yaml");
  const wrong = byId("yaml-error");
  let waiting = 0;
  let written = ""; // what the server wrote last, so that one's own typing is told from it

  const yaml = () => api.recipeText(toServer(state.recipe, { captions: true }));
  const follow = () => {
    clearTimeout(waiting);
    waiting = window.setTimeout(async () => {
      if (byId("panel-recipe").hidden || document.activeElement === text) return;
      const { recipe } = state;
      const now = await attempt(yaml);
      if (now === undefined || recipe !== state.recipe) return;
      written = text.value = now;
      wrong.hidden = true;
      byId("apply-yaml").disabled = true;
    }, REST);
  };

  /** @param {string} given */
  const read = async (given) => {
    const { recipe } = await api.checkRecipe(given);
    load(fromServer(recipe, state.view.sided));
  };

  for (const name of ["name", "description"]) {
    const field = byId(`recipe-${name}`);
    field.addEventListener("input", () => state.edit({ ...state.recipe, [name]: field.value }, name));
    field.addEventListener("change", () => state.rest());
  }
  text.addEventListener("input", () => (byId("apply-yaml").disabled = text.value === written));
  byId("apply-yaml").addEventListener("click", async () => {
    try {
      await read(text.value);
      wrong.hidden = true;
      byId("apply-yaml").disabled = true;
      say("Recipe applied");
    } catch (error) {
      wrong.textContent = error instanceof Error ? error.message : String(error);
      wrong.hidden = false;
    }
  });
  const file = byId("recipe-file");
  const open = async (/** @type {File} */ given) => {
    await attempt(async () => {
      await read(await given.text());
      say(`${given.name} opened`);
    });
  };
  byId("open-recipe").addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    if (file.files?.[0]) open(file.files[0]);
    file.value = "";
  });
  document.addEventListener("open-recipe", (event) => open(/** @type {CustomEvent} */ (event).detail));
  byId("save-recipe").addEventListener("click", () =>
    attempt(async () => {
      save(new Blob([await yaml()], { type: "text/yaml" }), `${fileName(state.recipe.name)}.yaml`);
    }),
  );
  byId("new-recipe").addEventListener("click", () => {
    load(begun());
    say("A new recipe; undo brings the old one back");
  });

  const refresh = () => {
    for (const name of ["name", "description"]) {
      const field = byId(`recipe-${name}`);
      if (field.value !== state.recipe[name]) field.value = state.recipe[name];
    }
    follow();
  };
  state.addEventListener("recipe", refresh);
  document.addEventListener("tab", follow);
  refresh();
}

/** A name that every system takes for a file. @param {string} name */
export const fileName = (name) =>
  name.trim().toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "").slice(0, 60) || "recipe";
