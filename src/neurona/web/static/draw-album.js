/** The reader's own drawings: kept with what they are, taken out and in as a file, evaluated, and learned from. */

import { element, filled, fromBase64, thumbnail } from "./element.js";

const LARGEST_FILE = 16_000_000;

export class Album {
  #page;
  #list;
  #score;
  #notice;
  #tune;
  #progress;
  #outcome;
  #export;
  #chosen = () => null;
  #tell;

  /** chosen: returns the model in use; use: chooses another; tell: says a sentence. */
  constructor(root, page, { chosen, use, tell }) {
    this.#page = page;
    this.#chosen = chosen;
    this.use = use;
    this.#tell = tell;
    const { words } = page;
    const file = element("input", { type: "file", accept: ".json,application/json", class: "unseen", tabindex: -1, "aria-hidden": "true", id: "drawings-file" });
    file.addEventListener("change", () => this.#import(file));
    this.#list = element("ul", { class: "album" });
    this.#score = element("p", { class: "score" });
    this.#notice = element("p", { class: "quiet" });
    this.#tune = element("button", { type: "button", class: "primary", id: "tune", onclick: () => this.#learn() }, words.tune);
    this.#export = element("a", { class: "button", href: page.path("/api/drawings.json"), download: "drawings.json" }, words.export_drawings);
    this.#progress = element("div", { hidden: true, class: "progress" });
    this.#outcome = element("div", { class: "outcome" });
    root.append(
      this.#list, this.#score,
      element("div", { class: "row" }, this.#tune, this.#export,
        element("button", { type: "button", onclick: () => file.click() }, words.import_drawings), file),
      this.#progress, this.#outcome, this.#notice,
    );
  }

  /** Keep a drawing as what its author says. */
  async keep(pixels, label, strokes) {
    this.#show(await this.#page.api("/api/drawings", { body: { pixels: [...pixels], label, strokes } }));
    await this.evaluate();
  }

  async refresh() {
    this.#show(await this.#page.api("/api/drawings"));
    await this.evaluate();
  }

  /** Say how the model in use does on the drawings. */
  async evaluate() {
    const id = this.#chosen(), { words } = this.#page;
    this.#score.textContent = "";
    if (!id || !this.#list.children.length) return;
    const { right, of, answers } = await this.#page.api(`/api/evaluation?model=${encodeURIComponent(id)}`);
    this.#score.textContent = filled(words.score, { right, of });
    for (const item of this.#list.children) {
      const answer = answers[item.dataset.drawing], wrong = answer !== undefined && answer !== Number(item.dataset.label);
      item.classList.toggle("wrong", wrong);
      item.querySelector(".verdict").textContent = answer === undefined ? "" : wrong ? filled(words.taken_for, { name: this.classNames?.[answer] ?? answer }) : words.right;
    }
  }

  #show({ drawings, lasts }) {
    const { words } = this.#page;
    this.#list.replaceChildren(...drawings.map((drawing) => element("li", { data: { drawing: drawing.id, label: drawing.label } },
      thumbnail(fromBase64(drawing.pixels)),
      element("span", { class: "name" }, drawing.name), element("span", { class: "verdict quiet" }),
      element("button", { type: "button", class: "remove", "aria-label": filled(words.remove, { name: drawing.name }), onclick: () => this.#remove(drawing.id) }, "×"))));
    this.#notice.textContent = lasts ? words.lasts : words.does_not_last;
    this.#tune.disabled = drawings.length === 0;
    this.#export.hidden = drawings.length === 0;
    this.#list.hidden = drawings.length === 0;
  }

  async #remove(id) {
    try {
      await this.#page.api(`/api/drawings/${id}`, { method: "DELETE" });
      await this.refresh();
      (this.#list.querySelector("button") ?? this.#tune).focus();
    } catch (error) {
      this.#tell(error.message);
    }
  }

  async #import(input) {
    const [file] = input.files;
    input.value = "";
    if (!file) return;
    const { words } = this.#page;
    if (file.size > LARGEST_FILE) {
      this.#tell(words.file_too_large);
      return;
    }
    try {
      const { added } = await this.#page.api("/api/drawings.json", { body: await file.arrayBuffer() });
      await this.refresh();
      this.#tell(filled(words.imported, { count: added }));
    } catch (error) {
      this.#tell(error.message);
    }
  }

  async #learn() {
    const { api, events, words } = this.#page;
    const bar = element("progress", { max: 1, value: 0, "aria-label": words.tuning });
    const sentence = element("p", { class: "quiet", role: "status" }, words.waiting);
    const stop = element("button", { type: "button" }, words.stop);
    this.#progress.replaceChildren(sentence, bar, stop);
    this.#progress.hidden = false;
    this.#tune.disabled = true;
    this.#outcome.replaceChildren();
    const over = () => {
      this.#progress.hidden = true;
      this.#tune.disabled = this.#list.children.length === 0;
    };
    try {
      const job = await api("/api/tune", { body: { model: this.#chosen() } });
      stop.addEventListener("click", () => api(`/api/jobs/${job.id}/stop`, { method: "POST" }));
      events(`/api/jobs/${job.id}/events`, {
        epoch: ({ number, epochs }) => {
          bar.max = epochs;
          bar.value = number;
          sentence.textContent = filled(words.tuning_epoch, { number, epochs });
        },
        result: async (result) => {
          this.#compare(result);
          await this.use(result.model);
        },
        state: ({ error }) => { if (error) this.#tell(error); },
        end: over,
        error: (error) => { this.#tell(error.message); over(); },
      });
    } catch (error) {
      this.#tell(error.message);
      over();
    }
  }

  #compare({ name, drawings, validation }) {
    const { words, percent, number } = this.#page;
    const row = (title, { before, after, of }) => {
      const change = after - before;
      return element("tr", {}, element("th", { scope: "row" }, title),
        element("td", { class: "number" }, filled(words.of, { count: number(before), of: number(of), share: percent(before / of, 1) })),
        element("td", { class: "number" }, filled(words.of, { count: number(after), of: number(of), share: percent(after / of, 1) })),
        element("td", { class: "number" }, `${change > 0 ? "+" : change < 0 ? "−" : "±"}${number(Math.abs(change))}`));
    };
    this.#outcome.replaceChildren(element("div", { class: "scroll" }, element("table", {},
      element("caption", {}, filled(words.tuned, { name })),
      element("thead", {}, element("tr", {}, element("td"), ...["before", "after", "change"].map((key) => element("th", { scope: "col", class: "number" }, words[key])))),
      element("tbody", {}, row(words.your_drawings, drawings), row(words.validation_images, validation)))));
    this.#tell(filled(words.tuned_said, { before: drawings.before, after: drawings.after, of: drawings.of }));
  }
}
