// Before anything is drawn, so that nothing flashes: a classic script, not a module.
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const saved = () => {
    try {
      return localStorage.getItem("memegen-theme");
    } catch {
      return null; // storage is forbidden
    }
  };
  const show = () => {
    document.documentElement.dataset.theme = saved() ?? (system.matches ? "dark" : "light");
  };
  system.addEventListener("change", show);
  document.addEventListener("switch-theme", () => {
    const other = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    try {
      localStorage.setItem("memegen-theme", other);
    } catch {
      // It lasts as long as the page, then.
    }
    document.documentElement.dataset.theme = other;
  });
  show();
})();
