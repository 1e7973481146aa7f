// Puts the page together.

import * as api from "./api.js";
import { captions } from "./captions.js";
import { Copy } from "./copy.js";
import { attempt, byId } from "./dom.js";
import { Download } from "./download.js";
import { keyboard } from "./keyboard.js";
import { pads } from "./pad.js";
import { Player } from "./player.js";
import { Presets } from "./presets.js";
import { Preview } from "./preview.js";
import { Sliders } from "./sliders.js";
import { Stage } from "./stage.js";
import { State } from "./state.js";
import { tabs } from "./tabs.js";
import { recipeText } from "./text.js";
import { Timeline } from "./timeline.js";
import { strongestTime } from "./track.js";
import { channelsOf } from "./units.js";

/** Build the page once the table of action units is there. */
async function main() {
  const state = new State();
  state.resume();
  const units = await attempt(api.actionUnits);
  if (!units) return;
  for (const unit of units) unit.facs = unit.facs.toLowerCase();
  const sided = new Set(units.filter((unit) => unit.sides).map((unit) => unit.name));
  state.view = { ...state.view, units, sided, time: strongestTime(state.recipe) };

  const preview = new Preview();
  const stage = new Stage(state, preview);
  const player = new Player(state, preview, stage.orderOf, stage.draw);
  /** Another recipe: seen at its strongest. @param {import("./recipe.js").Recipe} recipe */
  const load = (recipe) => {
    player.stop();
    state.edit(recipe);
    state.look({ time: strongestTime(recipe) });
  };
  const timeline = new Timeline(state, player);
  new Sliders(state).refresh();
  pads(state);
  captions(state);
  recipeText(state, load);
  new Copy(state, units.flatMap(channelsOf), load);
  const download = new Download(state);
  const presets = new Presets(state, stage, load);
  keyboard(state, timeline, player);
  tabs(byId("tabs"));
  state.addEventListener("recipe", () => player.stop());
  state.addEventListener("view", (event) => {
    const { face, photo } = /** @type {CustomEvent} */ (event).detail;
    if (face !== undefined || photo !== undefined) player.stop();
  });
  byId("theme").addEventListener("click", () => document.dispatchEvent(new Event("switch-theme")));
  addEventListener("pagehide", () => state.keep());

  requestAnimationFrame(() => requestAnimationFrame(() => (document.documentElement.dataset.built = "")));

  await Promise.all([stage.open(null), download.prepare(), presets.open()]);
  document.documentElement.dataset.ready = "";
}

main();
