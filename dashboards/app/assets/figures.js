// Figures: a place that carries its figure as JSON (`data-figure`) is drawn when it comes into view.
// Tables below them (`data-late`) are asked for then, by the button they hold.
(() => {
  const AHEAD = "150px";
  const CONFIG = {
    displaylogo: false,
      modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
  };

  // fetched while the page is still empty, not with the first figure
  const plotly = new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = "/plotly.js";
    script.onload = () => done(window.Plotly);
    script.onerror = failed;
    document.head.append(script);
  });

  const shown = new WeakMap(); // place -> the text that was drawn there, or is about to be

  const draw = async (place) => {
    const text = place.dataset.figure;
    const Plotly = await plotly;
    if (!place.isConnected || shown.get(place) !== text) return;
    let pad = place.firstElementChild;
    if (!pad) {
      pad = place.appendChild(document.createElement("div"));
      pad.style.height = "100%";
    }
    const { data, layout, frames } = JSON.parse(text);
    const config = { ...CONFIG, scrollZoom: place.id === "picture" };
    const first = !pad.on;
    pad.width = place.clientWidth;
    await Plotly.react(pad, { data, layout, frames: frames || [], config });
    if (first && place.dataset.drill) {
      pad.on("plotly_click", (event) => window.dash_clientside.samscope.drill(event.points[0]));
    }
    place.dataset.drawn = "yes";
    if (frames) Plotly.animate(pad, ...layout.updatemenus[0].buttons[0].args); // it was asked for
    widths.observe(place);
  };

  let last = Promise.resolve();
  const wait = () => new Promise((done) => setTimeout(done, 0)); // lets the browser paint between two
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      const show = target.dataset.late ? () => target.querySelector("button").click() : () => draw(target);
      last = last.then(show).catch(console.error).then(wait);
    }
  }, { rootMargin: AHEAD });

  const widths = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const pad = target.firstElementChild;
      if (!pad || !target.clientWidth || pad.width === target.clientWidth) continue;
      pad.width = target.clientWidth;
      window.Plotly.Plots.resize(pad).catch(() => {});
    }
  });

  const look = () => {
    for (const place of document.querySelectorAll("[data-figure], [data-late]")) {
      const what = place.dataset.figure || place.querySelector("button").id;
      if (shown.get(place) === what) continue;
      shown.set(place, what);
      delete place.dataset.drawn;
      seen.unobserve(place);
      seen.observe(place);
    }
  };
  new MutationObserver(look).observe(document.documentElement, {
    subtree: true, childList: true, attributes: true, attributeFilter: ["data-figure"],
  });
})();
