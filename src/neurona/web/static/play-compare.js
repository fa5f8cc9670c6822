/** Two attempts side by side, and both over several seeds. */

import { drawn, element, filled } from "./element.js";
import { FIELDS } from "./play-setup.js";

/** Fires "busy" when the seeds begin to be trained, and when they have ended. */
export class CompareView extends EventTarget {
  #page;
  #playground;
  #body = element("div", {});
  #result = element("div", { class: "seeds" });
  #button;
  #status = element("p", { class: "quiet", role: "status" });
  #stop = null;
  #pair = null;
  #busy = false;

  constructor(page, playground) {
    super();
    this.#page = page;
    this.#playground = playground;
    const { words } = page;
    this.#button = element("button", { type: "button", "data-role": "compare-seeds", onclick: () => this.#press() });
    this.element = element("section", { class: "card compare" }, element("h2", {}, words.compare), this.#body, this.#result, this.#status);
    this.show(null, null);
  }

  /** Whether the seeds are being trained. */
  get comparing() { return this.#stop !== null; }

  /** While an attempt is trained the seeds must wait: a reader trains one thing at a time. */
  set busy(busy) {
    this.#busy = busy;
    if (!this.#stop) this.#button.disabled = busy;
  }

  /** Show the attempt at hand beside the previous one; null where there is none. */
  show(current, previous) {
    const { words } = this.#page;
    const ready = current?.epochs.length > 1 && previous;
    const pair = ready ? JSON.stringify([previous.setup, current.setup]) : null;
    if (pair !== this.#pair) this.#forget();
    this.#pair = pair;
    if (!ready) {
      this.#body.replaceChildren(element("p", { class: "quiet" }, words.compare_empty));
      return;
    }
    const alike = FIELDS.every((field) => String(current.setup[field]) === String(previous.setup[field]));
    this.#body.replaceChildren(
      element("div", { class: "scroll" }, this.#table(current, previous)),
      element("p", { class: "verdict-note" }, alike ? words.same_setup : words.one_seed),
    );
    if (!alike) this.#body.append(this.#button);
    if (!this.#stop) this.#button.textContent = filled(words.compare_seeds, { seeds: this.#playground.seeds });
  }

  #table(current, previous) {
    const { words, percent, number } = this.#page;
    const last = (attempt) => attempt.epochs.at(-1);
    const value = (format) => (share) => (Number.isFinite(share) ? format(share) : "–");
    const accuracy = value((share) => percent(share, 2)), loss = value((share) => number(share, 4));
    const said = (setup, field) => {
      if (field === "hidden") return setup.hidden.join(", ") || "–";
      if (field === "augmentation") return words[`augmentation_${setup.augmentation}`];
      return typeof setup[field] === "number" ? String(setup[field]) : setup[field];
    };
    const differing = FIELDS.filter((field) => String(current.setup[field]) !== String(previous.setup[field]));
    const rows = [
      ...differing.map((field) => [words[field], said(previous.setup, field), said(current.setup, field), "setting"]),
      [words.val_accuracy, accuracy(last(previous).val_accuracy), accuracy(last(current).val_accuracy), "figure"],
      [words.val_loss, loss(last(previous).val_loss), loss(last(current).val_loss), "figure"],
      [words.train_accuracy, accuracy(last(previous).accuracy), accuracy(last(current).accuracy), "figure"],
      [words.epochs, number(last(previous).number), number(last(current).number), "figure"],
      [words.weights_count, number(previous.parameters), number(current.parameters), "figure"],
    ];
    const head = element("tr", {}, element("td", {}), element("th", { scope: "col", class: "number" }, words.previous), element("th", { scope: "col", class: "number" }, words.current));
    const lines = rows.map(([name, before, now, kind]) => element("tr", { class: kind },
      element("th", { scope: "row" }, name), element("td", { class: "number" }, before), element("td", { class: "number" }, now)));
    return element("table", {}, element("thead", {}, head), element("tbody", {}, ...lines));
  }

  async #press() {
    if (this.#stop) {
      this.#stop();
      return;
    }
    const { words, api, events } = this.#page;
    const [first, second] = JSON.parse(this.#pair);
    const all = 2 * this.#playground.seeds;
    const runs = { first: [], second: [] };
    this.#status.textContent = filled(words.comparing, { done: 0, all });
    this.#stop = () => {};
    this.#button.textContent = words.stop;
    this.dispatchEvent(new Event("busy"));
    try {
      const { job } = await api("/api/play/compare", { body: { first, second } });
      let error = null;
      await new Promise((done) => {
        const close = events(`/api/jobs/${job}/events`, {
          state: (state) => { error = state.error ?? state.note ?? null; },
          run: ({ side, val_accuracy: accuracy }) => {
            runs[side].push(accuracy);
            this.#status.textContent = filled(words.comparing, { done: runs.first.length + runs.second.length, all });
            this.#drawRuns(runs);
          },
          end: done,
          error: (failure) => { error = failure.message; done(); },
        });
        this.#stop = () => { close(); api(`/api/jobs/${job}/stop`, { method: "POST" }).catch(() => {}); done(); };
      });
      const { result } = await api(`/api/jobs/${job}`);
      if (result) this.#conclude(runs, result);
      else this.#status.textContent = error ?? "";
    } catch (error) {
      this.#status.textContent = error.message;
    } finally {
      this.#stop = null;
      this.#button.textContent = filled(words.compare_seeds, { seeds: this.#playground.seeds });
      this.#button.disabled = this.#busy;
      this.dispatchEvent(new Event("busy"));
    }
  }

  #conclude(runs, result) {
    const { words, percent, number } = this.#page;
    const interval = ({ mean, low, high }, format) => `${format(mean)}${Number.isFinite(high) ? ` ± ${format((high - low) / 2).replace(/[+-]/, "")}` : ""}`;
    const share = (value) => percent(value, 2);
    const points = (value) => filled(words.compared_points, { value: `${value > 0 ? "+" : ""}${number(100 * value, 2)}` });
    const { difference } = result;
    const half = difference && Number.isFinite(difference.high) ? ` ± ${number((100 * (difference.high - difference.low)) / 2, 2)}` : "";
    this.#drawRuns(runs);
    this.#result.append(
      element("p", { class: "found", "data-verdict": result.verdict }, result.sentence),
      element("p", { class: "quiet" }, filled(words.compared, {
        seeds: this.#playground.seeds,
        first: interval(result.first, share),
        second: interval(result.second, share),
        difference: difference ? points(difference.mean).replace(/^(\S+)/, `$1${half}`) : "–",
      })),
    );
    this.#status.textContent = "";
  }

  /** A row for each attempt, a dot for each run, at its accuracy. */
  #drawRuns(runs) {
    const { words, percent } = this.#page;
    const values = [...runs.first, ...runs.second].filter(Number.isFinite);
    if (!values.length) return;
    const wide = 420, tall = 104, left = 84, right = 400;
    const room = Math.max(0.002, (Math.max(...values) - Math.min(...values)) * 0.15);
    const low = Math.min(...values) - room, high = Math.max(...values) + room;
    const x = (value) => left + ((right - left) * (value - low)) / (high - low);
    const svg = drawn("svg", { viewBox: `0 0 ${wide} ${tall}`, role: "img", class: "runs", "aria-label": words.compared_label });
    const text = (said, attributes) => { const made = drawn("text", attributes); made.textContent = said; svg.append(made); };
    for (const [side, y, name] of [["first", 24, words.previous], ["second", 58, words.current]]) {
      svg.append(drawn("line", { x1: left, x2: right, y1: y, y2: y, class: "grid" }));
      text(name, { x: 0, y: y + 4 });
      const those = runs[side].filter(Number.isFinite);
      for (const value of those) svg.append(drawn("circle", { cx: x(value), cy: y, r: 5, class: side }));
      if (those.length > 1) {
        const mean = those.reduce((sum, value) => sum + value, 0) / those.length;
        svg.append(drawn("line", { x1: x(mean), x2: x(mean), y1: y - 12, y2: y + 12, class: `mean ${side}` }));
      }
    }
    for (const [value, anchor] of [[low, "start"], [(low + high) / 2, "middle"], [high, "end"]]) {
      text(percent(value, 1), { x: x(value), y: tall - 10, "text-anchor": anchor });
    }
    this.#result.replaceChildren(svg);
  }

  #forget() {
    this.#stop?.();
    this.#result.replaceChildren();
    this.#status.textContent = "";
  }
}
