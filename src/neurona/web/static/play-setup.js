/** The setup: its controls, which of them are fixed, and how both stand in the address. */

import { drawn, element, filled, unique } from "./element.js";

export const FIELDS = [
  "hidden", "activation", "dropout", "optimizer", "learning_rate", "batch_size", "epochs", "seed", "images", "augmentation",
];
const RATES = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1];
const BATCHES = [1, 5, 10, 20, 50, 100, 200, 500, 1000];

/** A setup as the address keeps it: what differs from `start`, whole numbers joined by `-`. */
export function inAddress(setup, start) {
  const kept = {};
  for (const field of FIELDS) {
    const text = field === "hidden" ? setup.hidden.join("-") || "none" : String(setup[field]);
    const usual = field === "hidden" ? start.hidden.join("-") || "none" : String(start[field]);
    kept[field] = text === usual ? null : text;
  }
  return kept;
}

/** The setup that the address keeps; what it does not say, or says in no form that can be read, is as in `start`. */
export function fromAddress(state, start) {
  const setup = { ...start, hidden: [...start.hidden] };
  for (const field of FIELDS) {
    const text = state.get(field);
    if (text === null) continue;
    if (field === "hidden") {
      if (text === "none") setup.hidden = [];
      else if (/^\d{1,6}(-\d{1,6})*$/.test(text)) setup.hidden = text.split("-").map(Number);
    } else if (typeof start[field] === "number") {
      if (text.trim() !== "" && Number.isFinite(Number(text))) setup[field] = Number(text);
    } else {
      setup[field] = text;
    }
  }
  return setup;
}

/** The fields that the address fixes. */
export function lockedIn(state) {
  return (state.get("lock") ?? "").split(".").filter((field) => FIELDS.includes(field));
}

/**
 * The controls. They fire "change" when the reader has changed something; `setup` is what is set up.
 * `words` and `page` are the tab's, `playground` is what the server offers.
 */
export class SetupControls extends EventTarget {
  #words;
  #page;
  #playground;
  #rows = new Map();  // field -> {row, input, message, lock, mark}
  #layers;
  #diagram;
  #locked = new Set();
  #fixed = new Set();  // by whoever sent the page
  #busy = false;

  constructor(page, playground) {
    super();
    this.#words = page.words;
    this.#page = page;
    this.#playground = playground;
    this.setup = playground.start;
    this.element = this.#build();
  }

  get locked() { return [...this.#locked]; }

  /** Show `setup`; the fields in `fixed` cannot be changed. */
  show(setup, fixed) {
    this.setup = setup;
    this.#fixed = new Set(fixed);
    this.#locked = new Set(fixed);
    this.#draw();
  }

  /** While something is trained nothing can be changed. */
  set busy(busy) {
    this.#busy = busy;
    this.#disable();
  }

  /** Whether the padlocks can be turned. */
  set locking(locking) {
    for (const { lock } of this.#rows.values()) lock.hidden = !locking;
  }

  /** Show what is wrong, a sentence beside its control; return the sentences that no control has. */
  complain(problems) {
    const left = [];
    for (const { message, input } of this.#rows.values()) {
      message.textContent = "";
      message.hidden = true;
      input?.removeAttribute("aria-invalid");
    }
    for (const { where, sentence } of problems) {
      const row = where.map((part) => this.#rows.get(part)).find(Boolean);
      if (row) {
        row.message.textContent = sentence;
        row.message.hidden = false;
        row.input?.setAttribute("aria-invalid", "true");
      } else {
        left.push(sentence);
      }
    }
    return left;
  }

  #build() {
    const words = this.#words;
    const group = (title, ...rows) => element("fieldset", {}, element("legend", {}, title), ...rows);
    const { limits } = this.#playground;
    this.#diagram = drawn("svg", { class: "diagram", role: "img" });
    this.#layers = element("div", { class: "layers" });
    return element("div", { class: "setup" },
      this.#diagram,
      group(words.network,
        this.#row("hidden", null, this.#layers),
        this.#select("activation", this.#playground.activations),
        this.#range("dropout", 0, limits.dropout, 0.05),
      ),
      group(words.training,
        this.#select("optimizer", Object.keys(this.#playground.optimizers)),
        this.#select("learning_rate", RATES, (rate) => this.#plain(rate)),
        this.#select("batch_size", BATCHES, (size) => this.#page.number(size)),
        this.#number("epochs", 1, limits.epochs),
        this.#number("seed", 0, limits.seed, element("button", {
          type: "button", class: "small round", "data-role": "next-seed", "aria-label": words.next_seed, title: words.next_seed,
          onclick: () => this.#change({ seed: (this.setup.seed + 1) % (limits.seed + 1) }),
        }, "+1")),
      ),
      group(words.images_group,
        this.#select("images", this.#playground.images, (count) => this.#page.number(count)),
        this.#select("augmentation", this.#playground.augmentations, (name) => words[`augmentation_${name}`]),
      ),
    );
  }

  /** A rate as it is, without rounding. */
  #plain(value) {
    return new Intl.NumberFormat(this.#page.language === "es" ? "es-419" : "en", { maximumSignificantDigits: 12 }).format(value);
  }

  #row(field, input, ...controls) {
    const words = this.#words;
    const message = element("p", { class: "complaint", id: unique("complaint"), role: "alert", hidden: true });
    const lock = element("button", {
      type: "button", class: "lock", hidden: true, "aria-pressed": "false", "data-lock": field,
      "aria-label": filled(words.lock, { name: words[field] }), title: filled(words.lock, { name: words[field] }),
      onclick: () => this.#turn(field),
    }, padlock());
    const mark = element("span", { class: "fixed", hidden: true }, padlock(), words.locked);
    const id = input ? unique(field) : undefined;
    if (input) {
      input.id = id;
      input.dataset.field = field;
      input.setAttribute("aria-describedby", message.id);
    }
    const label = input ? element("label", { for: id }, words[field]) : element("span", { id: unique(field) }, words[field]);
    const row = element("div", { class: `field field-${field}`, "data-row": field },
      element("div", { class: "field-head" }, label, mark, lock), element("div", { class: "field-control" }, ...controls), message);
    if (!input) {
      row.setAttribute("role", "group");
      row.setAttribute("aria-labelledby", label.id);
    }
    this.#rows.set(field, { row, input, message, lock, mark });
    return row;
  }

  #select(field, values, text = (value) => value) {
    const select = element("select", {
      onchange: () => {
        const chosen = select.selectedOptions[0].value;
        const value = typeof this.#playground.start[field] === "number" ? Number(chosen) : chosen;
        this.#change(field === "optimizer" ? this.#withOptimizer(value) : { [field]: value });
      },
    });
    select.fill = (current) => {
      const offered = values.includes(current) ? values : [...values, current];
      if (typeof current === "number") offered.sort((one, other) => one - other);
      select.replaceChildren(...offered.map((value) => element("option", { value: String(value) }, text(value) ?? value)));
      select.value = String(current);
    };
    return this.#row(field, select, select);
  }

  /** Another optimizer comes with its own learning rate, unless that was changed or is fixed. */
  #withOptimizer(optimizer) {
    const rates = this.#playground.optimizers;
    const usual = this.setup.learning_rate === rates[this.setup.optimizer] && !this.#fixed.has("learning_rate");
    return { optimizer, learning_rate: usual ? rates[optimizer] : this.setup.learning_rate };
  }

  #range(field, least, most, step) {
    const shown = element("output", {});
    const input = element("input", {
      type: "range", min: least, max: most, step,
      oninput: () => { shown.textContent = this.#page.percent(input.valueAsNumber); },
      onchange: () => this.#change({ [field]: input.valueAsNumber }),
    });
    input.fill = (value) => {
      input.value = value;
      shown.textContent = this.#page.percent(value);
    };
    return this.#row(field, input, input, shown);
  }

  #number(field, least, most, ...more) {
    const input = element("input", {
      type: "number", min: least, max: most, step: 1, inputMode: "numeric",
      onchange: () => { if (input.value !== "") this.#change({ [field]: input.valueAsNumber }); else input.value = this.setup[field]; },
    });
    input.fill = (value) => { input.value = value; };
    return this.#row(field, input, input, ...more);
  }

  #change(changes) {
    this.setup = { ...this.setup, ...changes };
    this.#draw();
    this.dispatchEvent(new Event("change"));
  }

  #turn(field) {
    if (this.#locked.has(field)) this.#locked.delete(field);
    else this.#locked.add(field);
    this.#rows.get(field).lock.setAttribute("aria-pressed", String(this.#locked.has(field)));
    this.dispatchEvent(new Event("lock"));
  }

  #draw() {
    for (const [field, { input, lock, mark }] of this.#rows) {
      input?.fill(this.setup[field]);
      lock.setAttribute("aria-pressed", String(this.#locked.has(field)));
      mark.hidden = !this.#fixed.has(field);
    }
    this.#drawLayers();
    this.#drawDiagram();
    this.#disable();
  }

  #disable() {
    for (const [field, { row }] of this.#rows) {
      const off = this.#busy || this.#fixed.has(field);
      for (const control of row.querySelectorAll(".field-control :is(input, select, button)")) control.disabled = off;
      row.classList.toggle("off", off);
    }
    const more = this.#layers.querySelector("[data-role=add-layer]");
    if (more && this.setup.hidden.length >= this.#playground.limits.layers) more.disabled = true;
  }

  #drawLayers() {
    const words = this.#words;
    const { hidden } = this.setup;
    const focused = this.#layers.contains(document.activeElement) ? document.activeElement.dataset.role : null;
    const rows = hidden.map((units, index) => {
      const input = element("input", {
        type: "number", min: 1, max: this.#playground.limits.units, step: 1, value: units, inputMode: "numeric",
        "aria-label": filled(words.hidden_layer, { number: index + 1 }), "data-role": `layer-${index}`,
        onchange: () => {
          if (input.value === "") input.value = units;
          else this.#change({ hidden: hidden.with(index, input.valueAsNumber) });
        },
      });
      const remove = element("button", {
        type: "button", class: "small round", "aria-label": filled(words.remove_layer, { number: index + 1 }),
        "data-role": `remove-${index}`, onclick: () => this.#change({ hidden: hidden.toSpliced(index, 1) }),
      }, "−");
      return element("div", { class: "layer" }, input, remove);
    });
    const add = element("button", {
      type: "button", class: "small", "data-role": "add-layer",
      onclick: () => this.#change({ hidden: [...hidden, hidden.at(-1) ?? this.#playground.start.hidden[0] ?? 32] }),
    }, `+ ${words.add_layer}`);
    this.#layers.replaceChildren(...rows, add, ...(hidden.length ? [] : [element("p", { class: "quiet" }, words.no_hidden)]));
    if (focused) (this.#layers.querySelector(`[data-role="${focused}"]`) ?? add).focus();
  }

  /** Columns of dots: the image, each hidden layer, the classes; lines from each dot to some of the next column. */
  #drawDiagram() {
    const [height, width] = this.#playground.image_shape;
    const sizes = [height * width, ...this.setup.hidden, this.#playground.class_names.length];
    const wide = 320, tall = 132, room = 26, most = 9;
    const columns = sizes.map((size, index) => {
      const count = Math.min(most, Math.max(1, Number.isFinite(size) ? size : 1));
      const x = room + ((wide - 2 * room) * index) / (sizes.length - 1);
      return Array.from({ length: count }, (_, place) => ({ x, y: 12 + ((tall - 40) * (place + 0.5)) / count }));
    });
    const lines = columns.slice(1).flatMap((column, index) =>
      columns[index].flatMap((from) => column.map((to) => `M${from.x} ${from.y}L${to.x} ${to.y}`)));
    const dots = columns.flatMap((column, index) => column.map(({ x, y }) =>
      drawn("circle", { cx: x, cy: y, r: 3.6, class: index === 0 || index === columns.length - 1 ? "end" : "unit" })));
    const texts = sizes.map((size, index) => {
      const text = drawn("text", { x: columns[index][0].x, y: tall - 8, "text-anchor": "middle" });
      text.textContent = this.#page.number(size);
      return text;
    });
    this.#diagram.setAttribute("viewBox", `0 0 ${wide} ${tall}`);
    this.#diagram.setAttribute("aria-label", filled(this.#words.diagram, { layers: sizes.join(" → ") }));
    this.#diagram.replaceChildren(drawn("path", { d: lines.join(""), class: "lines" }), ...dots, ...texts);
  }
}

function padlock() {
  return drawn("svg", { viewBox: "0 0 16 16", width: 14, height: 14, "aria-hidden": "true" },
    drawn("path", { d: "M4.5 7V5a3.5 3.5 0 0 1 7 0v2", fill: "none", stroke: "currentColor", "stroke-width": 1.6 }),
    drawn("rect", { x: 3, y: 7, width: 10, height: 7, rx: 1.6, fill: "currentColor" }));
}
