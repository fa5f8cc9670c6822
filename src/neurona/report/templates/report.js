"use strict";
// Draws the figures, one after the other so that the page stays quick, and anew when light turns to dark.
(() => {
  const { figures, templates } = JSON.parse(document.getElementById("drawing").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const places = [...document.querySelectorAll("[data-figure]")];
  const drawn = [];
  const scheme = () => templates[dark.matches ? "dark" : "light"];

  const draw = (place) => {
    const { data, layout } = figures[Number(place.dataset.figure)];
    // A legend above a narrow plot takes several lines: text is what must stay readable.
    Plotly.newPlot(place, data, { ...layout, template: scheme(), autosize: true }, { displayModeBar: false, responsive: true });
    if (layout.meta && layout.meta.sprite) showThumbnails(place, layout.meta.sprite);
    drawn.push(place);
  };

  const next = (index) => {
    if (index === places.length) {
      document.documentElement.dataset.drawn = "all";
      return;
    }
    if (!drawn.includes(places[index])) draw(places[index]);
    setTimeout(next, 0, index + 1);
  };

  const repaint = (template) => drawn.forEach((place) => Plotly.relayout(place, { template }));
  dark.addEventListener("change", () => repaint(scheme()));

  // Paper is white, and as wide as it is.
  window.addEventListener("beforeprint", () => {
    places.filter((place) => !drawn.includes(place)).forEach(draw);
    drawn.forEach((place) => Plotly.relayout(place, { template: templates.light, width: Math.min(place.clientWidth, 660) }));
  });
  window.addEventListener("afterprint", () =>
    drawn.forEach((place) => Plotly.relayout(place, { template: scheme(), width: null, autosize: true })));

  const thumbnail = document.getElementById("thumbnail");
  const showThumbnails = (place, sprite) => {
    const zoom = Math.max(1, Math.round(84 / sprite.width));
    place.on("plotly_hover", ({ points, event }) => {
      const index = points[0].customdata[0];
      const x = (index % sprite.columns) * sprite.width * zoom;
      const y = Math.floor(index / sprite.columns) * sprite.height * zoom;
      Object.assign(thumbnail.style, {
        width: `${sprite.width * zoom}px`,
        height: `${sprite.height * zoom}px`,
        backgroundImage: `url(${sprite.address})`,
        backgroundSize: `${sprite.columns * sprite.width * zoom}px auto`,
        backgroundPosition: `-${x}px -${y}px`,
        left: `${Math.min(event.clientX + 16, window.innerWidth - sprite.width * zoom - 8)}px`,
        top: `${event.clientY + 20}px`,
      });
      thumbnail.hidden = false;
    });
    place.on("plotly_unhover", () => { thumbnail.hidden = true; });
  };

  // The contents show where the reader is.
  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const watcher = new IntersectionObserver((entries) => {
    entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
      links.forEach((link) => link.removeAttribute("aria-current"));
      links.get(entry.target.id)?.setAttribute("aria-current", "location");
    });
  }, { rootMargin: "-10% 0px -80% 0px" });
  links.forEach((_link, anchor) => watcher.observe(document.getElementById(anchor)));

  next(0);
})();
