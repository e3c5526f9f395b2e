// What happens in the browser alone: where we are, the theme, and how a picture is shown.
window.dash_clientside = window.dash_clientside || {};
(() => {
  const FILTERS = ["model", "strategy", "selection", "dataset", "modality", "structure"];
  const PICK = ["object", "of_model", "of_strategy", "of_selection", "lo", "hi", "trial", "step"];
  const nothing = () => window.dash_clientside.no_update;

  // As a link of the page would: the address changes, the page stays loaded.
  const go = (path, query) => {
    const text = query.toString();
    const href = path + (text ? "?" + text : "");
    if (href === location.pathname + location.search) return;
    history.pushState({}, "", href);
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
  };
  const asked = () => new URLSearchParams(location.search);
  const only = (names) => {
    const kept = new URLSearchParams();
    for (const [name, value] of asked()) if (names.includes(name)) kept.append(name, value);
    return kept;
  };

  // of several tables, what the one that was touched says
  const latest = (values) => {
    const touched = (window.dash_clientside.callback_context.triggered[0] || {}).value;
    return touched === undefined ? values[0] : touched;
  };

  const theme = (name) => {
    document.documentElement.dataset.theme = name;
    document.documentElement.dataset.agThemeMode = name;
  };
  const stored = () => { try { return localStorage.getItem("samscope-theme"); } catch { return null; } };
  const system = () => (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  theme(stored() || system());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    if (!stored()) theme(system());
  });

  window.dash_clientside.samscope = {
    // (pathname, search) -> what the page shows, what the case shows, links that keep the filters
    arrive: (pathname, search, place, pick, links) => {
      const filters = only(FILTERS);
      for (const name of FILTERS) {
        const value = filters.getAll(name);
        window.dash_clientside.set_props("filter-" + name, { value });
      }
      const here = pathname + "?" + filters;
      const what = only(PICK).toString();
      return [
        here === place ? nothing() : here,
        what === (pick ?? "") ? nothing() : what,
        links.map((id) => id.nav + (filters.size ? "?" + filters : "")),
        links.map((id) => (id.nav === pathname ? "here" : "")),
      ];
    },
    filter: (...values) => {
      const query = only(PICK);
      const next = new URLSearchParams();
      FILTERS.forEach((name, at) => {
        for (const value of values[at] || []) next.append(name, value);
      });
      if (next.toString() === only(FILTERS).toString()) return nothing();
      for (const [name, value] of query) next.append(name, value);
      go(location.pathname, next);
      return nothing();
    },
    clear: (clicks) => {
      if (clicks) go(location.pathname, only(PICK));
      return nothing();
    },
    // a mark that knows where it leads: customdata is a query string of filters
    drill: (point) => {
      const found = [point.customdata].flat()[0];
      if (typeof found !== "string" || !found) return;
      const query = only(FILTERS);
      for (const [name, value] of new URLSearchParams(found)) query.set(name, value);
      go("/cases", query);
    },
    choose: (tables) => {
      const rows = latest(tables);
      if (rows && rows.length) {
        const row = rows[0];
        const query = only(FILTERS);
        query.set("object", row.object_id);
        for (const name of ["model", "strategy", "selection"]) {
          query.set("of_" + name, row[name].replace(/ †$/, ""));
        }
        go("/cases", query);
        // let go of the row: after Back it must be possible to choose it again
        const [table] = window.dash_clientside.callback_context.triggered[0].prop_id.split(".selectedRows");
        window.dash_clientside.set_props(JSON.parse(table), { selectedRows: [] });
      }
      return nothing();
    },
    // Also called when a case has come, with the level that it shows: an address that says as much stays.
    // Compared with the address, not with the case: the answer to another choice may be on its way.
    level: ([value], [id]) => {
      if (!value) return nothing();
      const query = asked();
      const unsaid = ["0", "0", "0", id.level.split("|")[3]]; // an address without a step means the last one
      const names = ["lo", "hi", "trial", "step"];
      const chosen = value.split("|");
      if (names.some((name, at) => (query.get(name) ?? unsaid[at]) !== chosen[at])) {
        names.forEach((name, at) => query.set(name, chosen[at]));
        go(location.pathname, query);
      }
      return nothing();
    },
    theme: (clicks) => {
      if (clicks) {
        const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
        theme(next);
        try { localStorage.setItem("samscope-theme", next); } catch { /* it then lasts for this page */ }
      }
      return nothing();
    },
    reload: (clicks) => {
      if (clicks) location.reload();
      return nothing();
    },
    // grey values lo..hi become black..white: brightness, then contrast, as CSS knows them
    contrast: (range) => {
      const [lo, hi] = range.map((value) => value / 255);
      const width = Math.max(hi - lo, 1 / 255);
      const contrast = 1 + (2 * lo) / width;
      const style = document.documentElement.style;
      style.setProperty("--window", `brightness(${1 / width / contrast}) contrast(${contrast})`);
      return nothing();
    },
    opacity: (value) => {
      document.documentElement.style.setProperty("--overlay", value / 100);
      return nothing();
    },
  };
})();
