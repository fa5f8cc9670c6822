/** What is seen of a training: curves, the first layer's weights, and the answers to a few images. */

import { drawn, element, filled, fromBase64 } from "./element.js";

const TICKS = 4;

/** Two curves of an attempt, and those of the one before behind them. */
export class Chart {
  #page;
  #key;
  #name;
  #format;
  #svg = drawn("svg", { role: "img", class: "curves" });
  #attempts = [[], []];
  #epochs = 1;

  /** key: `loss` or `accuracy`; format: a value as text. */
  constructor(page, key, format) {
    this.#page = page;
    this.#key = key;
    this.#name = page.words[key];
    this.#format = format;
    this.element = element("figure", { class: "chart", "data-chart": key }, element("figcaption", {}, this.#name), this.#svg);
    new ResizeObserver(() => this.#draw()).observe(this.element);
  }

  /** Show the epochs of an attempt that is to have `epochs` of them, and those of the previous one. */
  show(current, previous, epochs) {
    this.#attempts = [current, previous];
    this.#epochs = Math.max(epochs, previous.at(-1)?.number ?? 0, 1);
    this.#draw();
  }

  #draw() {
    const wide = Math.round(this.element.clientWidth);
    if (wide < 40) return;
    const tall = Math.round(Math.min(260, Math.max(180, wide * 0.55)));
    const edge = { left: 46, right: 14, top: 8, bottom: 28 };
    const [low, high, step] = this.#range();
    const x = (epoch) => edge.left + ((wide - edge.left - edge.right) * epoch) / this.#epochs;
    const y = (value) => edge.top + ((tall - edge.top - edge.bottom) * (high - value)) / (high - low);
    const marks = [];
    for (let value = low; value <= high + step / 2; value += step) {
      marks.push(drawn("line", { x1: edge.left, x2: wide - edge.right, y1: y(value), y2: y(value), class: "grid" }));
      marks.push(label(this.#format(value, step), { x: edge.left - 8, y: y(value) + 4, "text-anchor": "end" }));
    }
    const every = nice(this.#epochs / Math.min(6, Math.max(2, wide / 70)), 1);
    for (let epoch = 0; epoch <= this.#epochs; epoch += every) {
      marks.push(label(this.#page.number(epoch), { x: x(epoch), y: tall - 9, "text-anchor": "middle" }));
    }
    const clip = `clip-${this.#key}`;
    const room = drawn("rect", { x: edge.left, y: edge.top - 4, width: wide - edge.left - edge.right + 8, height: tall - edge.top - edge.bottom + 8 });
    const lines = drawn("g", { "clip-path": `url(#${clip})` });
    for (const [attempt, kind] of [[this.#attempts[1], "previous"], [this.#attempts[0], "current"]]) {
      for (const [key, split] of [[this.#key, "train"], [`val_${this.#key}`, "validation"]]) {
        const points = attempt.filter((epoch) => Number.isFinite(epoch[key])).map((epoch) => [x(epoch.number), y(epoch[key])]);
        if (!points.length) continue;
        const path = points.map(([across, down]) => `${across.toFixed(1)} ${down.toFixed(1)}`).join("L");
        lines.append(drawn("path", { d: `M${path}`, class: `curve ${kind} ${split}`, "data-points": points.length }));
        const [lastX, lastY] = points.at(-1);
        if (split === "validation") lines.append(drawn("circle", { cx: lastX, cy: lastY, r: kind === "current" ? 4 : 3, class: `dot ${kind}` }));
      }
    }
    this.#svg.setAttribute("viewBox", `0 0 ${wide} ${tall}`);
    this.#svg.setAttribute("width", wide);
    this.#svg.setAttribute("height", tall);
    this.#svg.setAttribute("aria-label", this.#sentence());
    this.#svg.replaceChildren(drawn("clipPath", { id: clip }, room), ...marks, lines);
  }

  /** Low and high end of the axis and the step between its marks: all that came after the first epochs fits in. */
  #range() {
    const values = this.#attempts.flatMap((attempt) => attempt
      .filter((epoch) => epoch.number > 0 || attempt.length < 3)
      .flatMap((epoch) => [epoch[this.#key], epoch[`val_${this.#key}`]])).filter(Number.isFinite);
    if (this.#key === "accuracy") {
      if (!values.length) return [0, 1, 0.25];
      const step = nice((1 - Math.min(...values)) / TICKS, 0.0025);
      return [Math.max(0, 1 - step * Math.ceil((1 - Math.min(...values, 1 - step)) / step - 1e-9)), 1, step];
    }
    const most = values.length ? Math.max(...values) : 2.5;
    const step = nice(most / TICKS, 1e-6);
    return [0, step * Math.max(1, Math.ceil(most / step - 1e-9)), step];
  }

  #sentence() {
    const last = this.#attempts[0].at(-1);
    if (!last) return filled(this.#page.words.chart_empty, { name: this.#name });
    const shown = (value) => (Number.isFinite(value) ? this.#format(value, 0.0001) : "–");
    const values = { name: this.#name, validation: shown(last[`val_${this.#key}`]), training: shown(last[this.#key]) };
    return filled(this.#page.words.chart, values);
  }
}

/** A round number, 1, 2, 2.5 or 5 times a power of ten, not below `value` and `least`. */
function nice(value, least) {
  const wanted = Math.max(value, least);
  const power = 10 ** Math.floor(Math.log10(wanted));
  const steps = least >= 1 ? [1, 2, 5, 10] : [1, 2, 2.5, 5, 10];
  return power * steps.find((factor) => factor * power >= wanted - 1e-12);
}

/** How many digits after the point `step` needs. */
export function decimals(step) {
  let digits = 0;
  while (digits < 8 && Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) > 1e-6) digits += 1;
  return digits;
}

function label(text, attributes) {
  const made = drawn("text", attributes);
  made.textContent = text;
  return made;
}

/** What the lines of the charts are. */
export function legend(page) {
  const entry = (kind, split, text) => element("span", { class: `legend-${kind}` },
    drawn("svg", { viewBox: "0 0 28 10", width: 28, height: 10, "aria-hidden": "true" },
      drawn("path", { d: "M1 5H27", class: `curve ${kind} ${split}` })), text);
  return element("p", { class: "legend quiet" },
    entry("current", "validation", page.words.validation), entry("current", "train", page.words.training_images),
    entry("previous", "validation", page.words.previous_validation), entry("previous", "train", page.words.previous_training));
}

/** The weights into each unit of the first layer, as images. */
export class WeightsView {
  #page;
  #shape;
  #grid = element("div", { class: "units", role: "img" });
  #note = element("p", { class: "quiet" });
  #shown = null;

  constructor(page, shape) {
    this.#page = page;
    this.#shape = shape;
    const { words } = page;
    this.element = element("section", { class: "card weights" }, element("h2", {}, words.weights),
      element("p", { class: "quiet" }, words.weights_lead), this.#grid, this.#note);
    document.addEventListener("themechange", () => this.show(this.#shown));
    this.#grid.append(...Array.from({ length: 24 }, () => element("canvas", { width: shape[1], height: shape[0] })));
    this.show(null);
  }

  /** Show {number, units, of, pixels}; null for none. */
  show(weights) {
    this.#shown = weights;
    const { words } = this.#page;
    this.#note.hidden = Boolean(weights && weights.units === weights.of);
    if (!weights) {
      this.#note.textContent = words.weights_empty;
      this.#grid.setAttribute("aria-label", words.weights_empty);
      for (const canvas of this.#grid.children) canvas.width = this.#shape[1];  // which clears it
      return;
    }
    this.#note.textContent = filled(words.weights_some, { shown: weights.units, units: weights.of });
    this.#grid.setAttribute("aria-label", filled(words.weights_label, { units: weights.units, number: weights.number }));
    this.#grid.dataset.epoch = weights.number;
    const [height, width] = this.#shape;
    while (this.#grid.children.length > weights.units) this.#grid.lastChild.remove();
    while (this.#grid.children.length < weights.units) this.#grid.append(element("canvas", { width, height }));
    const values = new Int8Array(fromBase64(weights.pixels).buffer);
    const style = getComputedStyle(this.#grid);
    const [ground, positive, negative] = ["--weight-ground", "--weight-positive", "--weight-negative"].map((name) => rgb(style.getPropertyValue(name)));
    const size = height * width;
    for (let unit = 0; unit < weights.units; unit += 1) {
      const image = new ImageData(width, height);
      for (let pixel = 0; pixel < size; pixel += 1) {
        const weight = values[unit * size + pixel] / 127;
        const share = Math.abs(weight) ** 0.8;  // faint weights are seen, too
        const colour = weight > 0 ? positive : negative;
        for (let part = 0; part < 3; part += 1) image.data[4 * pixel + part] = ground[part] + share * (colour[part] - ground[part]);
        image.data[4 * pixel + 3] = 255;
      }
      this.#grid.children[unit].getContext("2d").putImageData(image, 0, 0);
    }
  }
}

/** Red, green and blue of `#rrggbb`. */
function rgb(text) {
  const number = parseInt(text.trim().slice(1), 16);
  return [number >> 16, (number >> 8) & 255, number & 255];
}

/** A few images, and how sure the network is of each. */
export class ProbesView {
  #page;
  #names;
  #probes;
  #cards;

  constructor(page, playground) {
    this.#page = page;
    this.#names = playground.class_names;
    this.#probes = playground.probes;
    const { words } = page;
    this.#cards = playground.probes.map((probe) => this.#card(probe, playground.image_shape));
    this.element = element("section", { class: "card confidence" }, element("h2", {}, words.confidence),
      element("p", { class: "quiet" }, words.confidence_lead), element("ul", { class: "probes" }, ...this.#cards.map(({ item }) => item)));
    this.show(null);
  }

  #card(probe, [height, width]) {
    const canvas = element("canvas", { width, height, "aria-hidden": "true" });
    const image = new ImageData(width, height);
    fromBase64(probe.pixels).forEach((value, pixel) => image.data.set([value, value, value, 255], 4 * pixel));
    canvas.getContext("2d").putImageData(image, 0, 0);
    const answer = element("span", { class: "answer" });
    const share = element("span", { class: "share" });
    const bars = drawn("svg", { viewBox: "0 0 100 34", preserveAspectRatio: "none", "aria-hidden": "true" });
    const sentence = element("span", { class: "unseen" });
    const item = element("li", { "data-label": probe.label }, canvas,
      element("span", { class: "verdict", "aria-hidden": "true" }, answer, share), bars, sentence);
    return { item, answer, share, bars, sentence };
  }

  /** Show `last`, an epoch with its `answers`: a probability for each probe and class; null for none. */
  show(last) {
    this.#cards.forEach((card, index) => {
      const probe = this.#probes[index];
      if (!last) {
        card.answer.textContent = "–";
        card.share.textContent = "";
        card.bars.replaceChildren(drawn("rect", { x: 0, y: 33, width: 100, height: 1, class: "other" }));
        card.item.className = "";
        card.sentence.textContent = filled(this.#page.words.confidence_nothing, { name: probe.name });
        return;
      }
      const answers = last.answers[index].map((value) => (Number.isFinite(value) ? value : 0));
      const best = answers.indexOf(Math.max(...answers));
      const right = best === probe.label;
      card.item.className = right ? "right" : "wrong";
      card.answer.textContent = this.#names[best];
      card.share.textContent = this.#page.percent(answers[best]);
      const values = { name: probe.name, answer: this.#names[best], share: this.#page.percent(answers[best]) };
      card.sentence.textContent = filled(this.#page.words.confidence_says, values);
      const wide = 100 / answers.length;
      card.bars.replaceChildren(...answers.map((value, place) => drawn("rect", {
        x: (place + 0.12) * wide, width: 0.76 * wide, y: 33 - 32 * value, height: 1 + 32 * value, class: place === probe.label ? "truth" : "other",
      })));
    });
  }
}
