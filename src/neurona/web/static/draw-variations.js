/** Sliders that move, turn, enlarge and thicken what the network sees; under each, its confidence along the slider. */

import { colour, crisp, element, filled, paintPixels } from "./element.js";
import { varied } from "./draw-images.js";

const STEPS = 33;
const THUMB = 18; // pixels across, as in draw.css: a curve begins where the thumb's middle can
const KINDS = {
  right: { least: -8, most: 8, step: 0.5, still: 0 },
  down: { least: -8, most: 8, step: 0.5, still: 0 },
  rotation: { least: -90, most: 90, step: 1, still: 0 },
  scale: { least: 0.4, most: 1.6, step: 0.01, still: 1 },
  thickness: { least: -1, most: 1, step: 0.02, still: 0 },
};

export class Variations {
  #page;
  #network = null;
  #pixels = null;
  #chosen = Object.fromEntries(Object.entries(KINDS).map(([name, { still }]) => [name, still]));
  #rows = {};
  #turn = 0;

  constructor(root, page) {
    this.#page = page;
    const { words } = page;
    this.image = element("canvas", { class: "pixels", role: "img" });
    this.answer = element("p", { class: "small-answer" });
    this.reset = element("button", { type: "button", onclick: () => this.#still() }, words.reset);
    const rows = Object.entries(KINDS).map(([name, { least, most, step }]) => {
      const slider = element("input", { type: "range", min: least, max: most, step, value: this.#chosen[name], id: `vary-${name}`, "aria-describedby": `curve-${name}` });
      const value = element("output", { for: `vary-${name}`, class: "quiet" });
      const curve = element("canvas", { class: "curve", role: "img", id: `curve-${name}` });
      slider.addEventListener("input", () => {
        this.#chosen[name] = Number(slider.value);
        this.#changed();
      });
      this.#rows[name] = { slider, value, curve, points: null };
      return element("div", { class: "variation" }, element("label", { for: `vary-${name}` }, words[`vary_${name}`], value), slider, curve);
    });
    root.append(
      element("div", { class: "varied" }, this.image, this.answer, this.reset),
      element("div", { class: "sliders" }, ...rows),
    );
    new ResizeObserver(() => this.paint()).observe(root);
  }

  /** Show what becomes of an image; null for none. */
  show(network, pixels) {
    this.#network = network;
    this.#pixels = pixels;
    this.#changed();
  }

  #still() {
    for (const [name, { still }] of Object.entries(KINDS)) {
      this.#chosen[name] = still;
      this.#rows[name].slider.value = still;
    }
    this.#changed();
  }

  #changed() {
    const { words, percent } = this.#page;
    for (const [name, { value }] of Object.entries(this.#rows)) value.textContent = this.#shown(name, this.#chosen[name]);
    const image = this.#pixels && varied(this.#pixels, this.#chosen);
    paintPixels(this.image, image);
    if (image) {
      const shares = this.#network.probabilities(image), best = argmax(shares);
      const sentence = filled(words.says, { name: this.#network.classNames[best], share: percent(shares[best]) });
      this.answer.textContent = sentence;
      this.image.setAttribute("aria-label", sentence);
    } else {
      this.answer.textContent = "";
      this.image.setAttribute("aria-label", words.nothing);
    }
    this.#compute();
  }

  #shown(name, value) {
    const { number, percent } = this.#page;
    if (name === "rotation") return `${number(value)}°`;
    if (name === "scale") return percent(value);
    if (name === "thickness") return `${value > 0 ? "+" : ""}${percent(value)}`;
    return `${value > 0 ? "+" : ""}${number(value, 1)} px`;
  }

  /** Compute the curves one after the other, with the page in between; a newer image ends it. */
  async #compute() {
    const turn = ++this.#turn, network = this.#network, pixels = this.#pixels;
    if (!pixels) {
      for (const row of Object.values(this.#rows)) row.points = null;
      this.paint();
      return;
    }
    const wanted = argmax(network.probabilities(pixels));
    for (const [name, { least, most }] of Object.entries(KINDS)) {
      await new Promise((done) => setTimeout(done, 30));
      if (turn !== this.#turn) return;
      const points = [];
      for (let i = 0; i < STEPS; i += 1) {
        const changes = { ...this.#chosen, [name]: least + ((most - least) * i) / (STEPS - 1) };
        const shares = network.probabilities(varied(pixels, changes));
        points.push({ share: shares[wanted], winner: argmax(shares) });
      }
      this.#rows[name].points = { wanted, points };
      this.#paint(name);
    }
  }

  paint() {
    for (const name of Object.keys(KINDS)) this.#paint(name);
  }

  #paint(name) {
    const { curve, points: found } = this.#rows[name], { least, most } = KINDS[name];
    const { context, width, height } = crisp(curve);
    if (width === 0) return;
    const x = (i) => THUMB / 2 + ((width - THUMB) * i) / (STEPS - 1), y = (share) => 3 + (height - 21) * (1 - share);
    context.strokeStyle = colour("line");
    for (const share of [0, 1]) {
      context.beginPath();
      context.moveTo(x(0), y(share));
      context.lineTo(x(STEPS - 1), y(share));
      context.stroke();
    }
    if (!found) {
      curve.setAttribute("aria-label", this.#page.words.nothing);
      return;
    }
    const { wanted, points } = found, names = this.#network.classNames;
    context.beginPath();
    context.moveTo(x(0), y(0));
    points.forEach(({ share }, i) => context.lineTo(x(i), y(share)));
    context.lineTo(x(STEPS - 1), y(0));
    context.globalAlpha = 0.18;
    context.fillStyle = colour("accent");
    context.fill();
    context.globalAlpha = 1;
    context.beginPath();
    points.forEach(({ share }, i) => context.lineTo(x(i), y(share)));
    context.strokeStyle = colour("accent");
    context.lineWidth = 2;
    context.lineJoin = "round";
    context.stroke();
    // Below: who wins where.
    context.font = "12px system-ui, sans-serif";
    context.textAlign = "center";
    const runs = [];
    points.forEach(({ winner }, i) => {
      if (runs.at(-1)?.winner === winner) runs.at(-1).last = i;
      else runs.push({ winner, first: i, last: i });
    });
    for (const { winner, first, last } of runs) {
      const room = x(last) - x(first) + 8;
      context.fillStyle = winner === wanted ? colour("accent") : colour("quiet");
      context.fillRect(x(first) - (first ? (x(1) - x(0)) / 2 - 0.75 : 0), y(0) + 3, Math.max(1.5, x(last) - x(first) + (first ? x(1) - x(0) : (x(1) - x(0)) / 2) - 1.5), 2);
      if (room > context.measureText(names[winner]).width) context.fillText(names[winner], (x(first) + x(last)) / 2, height - 2);
    }
    const at = THUMB / 2 + ((width - THUMB) * (this.#chosen[name] - least)) / (most - least);
    context.setLineDash([3, 3]);
    context.strokeStyle = colour("text");
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(at, 0);
    context.lineTo(at, y(0));
    context.stroke();
    context.setLineDash([]);
    const { words, percent } = this.#page;
    const shares = points.map(({ share }) => share);
    curve.setAttribute("aria-label", filled(words.curve, {
      name: names[wanted], from: percent(shares[0]), most: percent(Math.max(...shares)), to: percent(shares.at(-1)),
      others: [...new Set(points.map(({ winner }) => names[winner]))].join(", "),
    }));
  }
}

export function argmax(values) {
  let best = 0;
  for (let i = 1; i < values.length; i += 1) if (values[i] > values[best]) best = i;
  return best;
}
