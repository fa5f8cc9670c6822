/** What the pages on labs draw: learning curves, intervals. Colours and strokes are the style sheet's, by class. */

import { drawn, element } from "./element.js";

/** Return about `count` round numbers from `low` to `high`. */
export function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((times) => times * power >= rough * 0.999);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k += 1) found.push(Number((k * step).toPrecision(12)));
  return { found, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

/**
 * Return curves as an SVG of `width` × `height`: a line each, in the band of its interval. `curves` is [{name, style,
 * points: [{mean, low, high}]}], `style` a class of the style sheet; `write` shows a number of the upward axis.
 */
export function curvesChart(curves, { width, height, title, across, write }) {
  const margin = { left: 52, right: 12, top: 10, bottom: 38 };
  const epochs = Math.max(...curves.map(({ points }) => points.length));
  const ends = curves.flatMap(({ points }) => points.flatMap(({ mean, low, high }) => [low ?? mean, high ?? mean]));
  let [low, high] = [Math.min(...ends), Math.max(...ends)];
  const room = (high - low || 0.01) * 0.06;
  [low, high] = [low - room, high + room];
  const x = (epoch) => margin.left + (epochs === 1 ? 0.5 : (epoch - 1) / (epochs - 1)) * (width - margin.left - margin.right);
  const y = (value) => margin.top + (1 - (value - low) / (high - low)) * (height - margin.top - margin.bottom);
  const svg = drawn("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  const up = ticks(low, high, 5);
  for (const value of up.found) {
    svg.append(drawn("line", { class: "grid", x1: margin.left, x2: width - margin.right, y1: y(value), y2: y(value) }));
    svg.append(drawn("text", { class: "tick", x: margin.left - 8, y: y(value) + 4, "text-anchor": "end" }, write(value, up.digits)));
  }
  const every = Math.ceil(epochs / Math.max(2, Math.floor(width / 60)));
  for (let epoch = 1; epoch <= epochs; epoch += every) {
    svg.append(drawn("text", { class: "tick", x: x(epoch), y: height - margin.bottom + 18, "text-anchor": "middle" }, String(epoch)));
  }
  svg.append(drawn("text", { class: "tick", x: (margin.left + width - margin.right) / 2, y: height - 2, "text-anchor": "middle" }, across));
  for (const { points, style } of curves) {
    if (points.length && points.every(({ low: bottom }) => bottom !== null)) {
      const band = [...points.map(({ high: top }, i) => [x(i + 1), y(top)]),
        ...points.map(({ low: bottom }, i) => [x(i + 1), y(bottom)]).reverse()];
      svg.append(drawn("polygon", { class: `band ${style}`, points: band.map((p) => p.map((v) => v.toFixed(1)).join(",")).join(" ") }));
    }
  }
  for (const { points, style } of curves) {
    const line = points.map(({ mean }, i) => `${x(i + 1).toFixed(1)},${y(mean).toFixed(1)}`).join(" ");
    svg.append(drawn("polyline", { class: `line ${style}`, points: line }));
    if (epochs <= 12) points.forEach(({ mean }, i) => svg.append(drawn("circle", { class: `dot ${style}`, cx: x(i + 1), cy: y(mean), r: 3.5 })));
  }
  return svg;
}

/** Return limits that hold the differences worth telling apart: who lies far outside is drawn at the edge. */
export function limitsOf(differences) {
  const sizes = differences.flatMap(({ mean, low, high }) => [mean, low ?? mean, high ?? mean].map(Math.abs)).sort((a, b) => a - b);
  if (!sizes.length) return [-1, 1];
  const middle = sizes[Math.floor(sizes.length / 2)];
  const most = Math.max(...sizes.filter((size) => size <= Math.max(6 * middle, 1)), 0.2) * 1.12;
  return [-most, most];
}

/** Return one difference with its interval as a small SVG, for a cell of a table; its figures stand beside it. */
export function interval({ mean, low, high }, [from, to], word) {
  const width = 150, height = 22, pad = 6;
  const x = (value) => pad + ((Math.min(to, Math.max(from, value)) - from) / (to - from)) * (width - 2 * pad);
  const svg = drawn("svg", { class: `interval ${word}`, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  // The line of no difference goes on through the rows, however high they are.
  svg.append(drawn("line", { class: "zero", x1: x(0), x2: x(0), y1: -200, y2: 200 }));
  if (low !== null && high !== null) svg.append(drawn("line", { class: "reach", x1: x(low), x2: x(high), y1: height / 2, y2: height / 2 }));
  if (mean < from || mean > to) {
    const [tip, back] = mean < from ? [2, 10] : [width - 2, width - 10];
    svg.append(drawn("polygon", { class: "point", points: `${tip},${height / 2} ${back},${height / 2 - 5} ${back},${height / 2 + 5}` }));
  } else svg.append(drawn("circle", { class: "point", cx: x(mean), cy: height / 2, r: 4.5 }));
  return svg;
}

/**
 * Return what was seen beside what was guessed, on one axis of points: the mean with its interval, and a mark for the
 * guess, a number with its sign.
 */
export function strip({ mean, low, high }, guess, { width, word, title, axis, seen, guessed, write }) {
  const height = 100, left = 14, right = 14, line = 40;
  const ends = [0, mean, low ?? mean, high ?? mean, guess];
  const room = Math.max((Math.max(...ends) - Math.min(...ends)) * 0.12, 0.1);
  const [from, to] = [Math.min(...ends) - room, Math.max(...ends) + room];
  const x = (value) => left + ((value - from) / (to - from)) * (width - left - right);
  const svg = drawn("svg", { class: `strip ${word}`, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  const across = ticks(from, to, Math.max(3, Math.floor(width / 90)));
  svg.append(drawn("line", { class: "axis", x1: left, x2: width - right, y1: 60, y2: 60 }));
  for (const value of across.found) {
    svg.append(drawn("line", { class: "axis", x1: x(value), x2: x(value), y1: 60, y2: 64 }));
    svg.append(drawn("text", { class: "tick", x: x(value), y: 78, "text-anchor": "middle" }, write(value, across.digits)));
  }
  svg.append(drawn("text", { class: "tick", x: width - right, y: 96, "text-anchor": "end" }, axis));
  svg.append(drawn("line", { class: "zero", x1: x(0), x2: x(0), y1: 14, y2: 60 }));
  if (low !== null && high !== null) svg.append(drawn("line", { class: "reach", x1: x(low), x2: x(high), y1: line, y2: line }));
  svg.append(drawn("circle", { class: "point", cx: x(mean), cy: line, r: 6 }, drawn("title", {}, seen)));
  const top = 10;
  svg.append(drawn("polygon", { class: "guess", points: `${x(guess) - 7},${top} ${x(guess) + 7},${top} ${x(guess)},${top + 13}` }, drawn("title", {}, guessed)));
  return svg;
}

/** Return the legend of curves: a swatch and a name each. */
export function legend(curves) {
  return element("ul", { class: "legend" }, ...curves.map(({ name, style }) => element(
    "li", {}, drawn("svg", { class: "swatch", viewBox: "0 0 26 10", width: 26, height: 10, "aria-hidden": "true" },
      drawn("line", { class: `line ${style}`, x1: 1, x2: 25, y1: 5, y2: 5 })), name,
  )));
}

/** Redraw what `draw(width)` returns whenever `place` changes its width. */
export function fitted(place, draw) {
  let drawnAt = 0;
  const redraw = () => {
    const width = Math.round(place.clientWidth);
    if (!width || width === drawnAt) return;
    drawnAt = width;
    place.replaceChildren(draw(width));
  };
  new ResizeObserver(redraw).observe(place);
  redraw();
}
