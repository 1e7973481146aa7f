// The tabs of the panel, by pointer and arrows (WAI-ARIA's pattern of tabs).

/** @param {HTMLElement} list */
export function tabs(list) {
  const all = /** @type {HTMLButtonElement[]} */ ([...list.querySelectorAll('[role="tab"]')]);
  const choose = (/** @type {HTMLButtonElement} */ chosen) => {
    for (const tab of all) {
      const on = tab === chosen;
      tab.setAttribute("aria-selected", String(on));
      tab.tabIndex = on ? 0 : -1;
      const panel = document.getElementById(tab.getAttribute("aria-controls") ?? "");
      if (panel) panel.hidden = !on;
    }
    document.dispatchEvent(new CustomEvent("tab", { detail: chosen.id }));
  };
  for (const [i, tab] of all.entries()) {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, Home: -i, End: all.length - 1 - i }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      const next = all[(i + step + all.length) % all.length];
      next.focus();
      choose(next);
    });
  }
}
