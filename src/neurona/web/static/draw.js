/** The tab to draw in. All that a network answers is computed here, in the page, from its weights. */

import { Board } from "./drawing/board.js";
import { asNetworkSees } from "./drawing/ink.js";
import { Album } from "./draw-album.js";
import { boxOnly, inkOf, read, wholeBoard, written } from "./draw-images.js";
import { drawNetwork } from "./draw-network.js";
import { argmax, Variations } from "./draw-variations.js";
import { colour, element, filled, fromBase64, paintPixels, thumbnail } from "./element.js";

const SIDE = 280; // pixels of the board's ink
const SETTLED = 250; // milliseconds after a change, for what takes longer than a frame
const LARGEST_PICTURE = 20_000_000; // bytes
const MOST_PIXELS = 50_000_000;
const BUTTONS = 12; // classes up to which each is a button

export async function mount(root, page) {
  const tab = new DrawTab(root, page);
  await tab.start();
}

class DrawTab {
  #page;
  #root;
  #board;
  #network = null;
  #second = null;
  #chosen = null;
  #why = null; // the class that is explained, where it is not the answer
  #picture = null; // ink of a picture below the strokes
  #seen = null; // what the network sees, with its box
  #shares = null;
  #frame = 0;
  #settling = 0;
  #restored = false;
  #asked = 0;

  constructor(root, page) {
    this.#page = page;
    this.#root = root;
    this.#build();
  }

  async start() {
    const { model, state } = this.#page;
    model.addEventListener("change", () => this.#offer());
    model.addEventListener("progress", () => this.#progress());
    state.addEventListener("change", () => this.#restore());
    document.addEventListener("themechange", () => { this.#board.repaint(); this.#paintPicture(); this.#update(); });
    try {
      await model.list();
      await this.#offer();
    } catch (error) {
      this.#tell(error.message);
    }
    await this.#restore();
    this.#examples(0);
    this.#album.refresh().catch((error) => this.#tell(error.message));
  }

  // What there is

  #build() {
    const { words } = this.#page, root = this.#root;
    const canvas = element("canvas", { class: "board", id: "board" });
    this.pictureCanvas = element("canvas", { class: "picture", "aria-hidden": "true" });
    this.hint = element("p", { class: "hint", "aria-hidden": "true" }, words.hint);
    this.easel = element("div", { class: "easel" }, this.pictureCanvas, this.hint, canvas);
    this.undo = element("button", { type: "button", id: "undo", onclick: () => this.#undo() }, words.undo);
    this.clear = element("button", { type: "button", id: "clear", onclick: () => this.#clear() }, words.clear);
    this.brush = element("input", { type: "range", min: 3, max: 16, step: 0.5, value: 8, id: "brush" });
    this.file = element("input", { type: "file", accept: "image/*", class: "unseen", tabindex: -1, "aria-hidden": "true", id: "picture-file" });
    this.file.addEventListener("change", () => { this.#open(this.file.files[0]); this.file.value = ""; });
    this.said = element("p", { class: "unseen", role: "status", id: "said" });
    this.message = element("p", { class: "notice", role: "alert", hidden: true });

    this.model = element("select", { id: "model", onchange: () => this.#use(this.model.value) });
    this.with = element("select", { id: "with", onchange: () => this.#compareWith(this.with.value) });
    this.training = element("div", { class: "training", hidden: true });
    this.digit = element("span", { class: "digit" }, "–");
    this.share = element("span", { class: "share" });
    this.runner = element("span", { class: "quiet" });
    this.secondAnswer = element("p", { class: "second" });
    this.bars = element("ul", { class: "bars" });
    this.labels = element("div", { class: "row labels", role: "group", "aria-labelledby": "correct" });

    this.raw = element("canvas", { class: "pixels", role: "img", "aria-label": words.whole_board });
    this.box = element("canvas", { class: "pixels", role: "img", "aria-label": words.box_only });
    this.centred = element("canvas", { class: "pixels", role: "img", "aria-label": words.as_mnist });
    this.saliency = element("canvas", { class: "pixels", role: "img", id: "saliency" });
    this.answers = Object.fromEntries(["raw", "box", "centred"].map((name) => [name, element("p", { class: "small-answer", data: { look: name } })]));
    this.saliencyTitle = element("h3", {});
    const look = (name, title, sentence) => element("li", {}, this[name], element("h3", {}, title), this.answers[name], element("p", { class: "quiet" }, sentence));

    this.inside = element("canvas", { class: "inside", role: "img" });
    this.insideSaid = element("p", { class: "quiet", id: "inside-said" });
    this.near = element("ul", { class: "near" });
    this.nearSaid = element("p", { class: "quiet" }, words.near_none);
    this.gallery = element("div", { class: "gallery", role: "group", "aria-labelledby": "examples-title" });
    const variations = element("div", { class: "variations" });
    const album = element("div", {});

    root.append(
      element("h1", {}, words.heading),
      element("p", { class: "lead" }, words.lead),
      this.message,
      element("div", { class: "hero" },
        element("div", { class: "left" },
          this.easel,
          element("div", { class: "row tools" }, this.undo, this.clear,
            element("label", { class: "brush", for: "brush" }, words.brush, this.brush),
            element("button", { type: "button", onclick: () => this.file.click() }, words.open_picture), this.file),
          element("details", { class: "quiet" }, element("summary", {}, words.keyboard), element("p", {}, words.keys)),
        ),
        element("div", { class: "card answer" },
          element("div", { class: "row models" },
            element("label", { for: "model" }, words.model, " ", this.model),
            element("label", { for: "with" }, words.compared_with, " ", this.with)),
          this.training,
          element("div", { class: "verdict" }, this.digit, element("div", {}, this.share, this.runner)),
          this.secondAnswer,
          this.bars,
          element("h2", { id: "correct" }, words.correct),
          this.labels,
        ),
      ),
      this.said,
      element("section", { class: "strip", "aria-labelledby": "examples-title" },
        element("div", { class: "row" }, element("h2", { id: "examples-title" }, words.examples),
          element("button", { type: "button", id: "more-examples", onclick: () => this.#examples(this.seed + 1) }, words.more_examples)),
        this.gallery),
      element("section", { class: "block", "aria-labelledby": "sees-title" },
        element("h2", { id: "sees-title" }, words.sees), element("p", {}, words.sees_lead),
        element("ul", { class: "looks" },
          look("raw", words.whole_board, words.whole_board_said), look("box", words.box_only, words.box_only_said),
          look("centred", words.as_mnist, words.as_mnist_said),
          element("li", {}, this.saliency, this.saliencyTitle, element("p", { class: "small-answer legend" },
            element("span", { class: "for" }, words.for), " ", element("span", { class: "against" }, words.against)),
            element("p", { class: "quiet" }, words.saliency_said)))),
      element("section", { class: "block", "aria-labelledby": "inside-title" },
        element("h2", { id: "inside-title" }, words.inside), element("p", {}, words.inside_lead),
        element("div", { class: "card" }, this.inside), this.insideSaid),
      element("section", { class: "block", "aria-labelledby": "vary-title" },
        element("h2", { id: "vary-title" }, words.vary), element("p", {}, words.vary_lead), variations),
      element("section", { class: "block", "aria-labelledby": "near-title" },
        element("h2", { id: "near-title" }, words.near), this.nearSaid, this.near),
      element("section", { class: "block", "aria-labelledby": "album-title" },
        element("h2", { id: "album-title" }, words.album), element("p", {}, words.album_lead), album),
    );

    this.#board = new Board(canvas, { words: { board: words.board, board_kind: words.board_kind }, brush: 0.08 });
    this.#board.addEventListener("change", () => this.#changed());
    this.#board.addEventListener("pen", ({ detail: { down } }) => { this.said.textContent = down ? words.pen_down : words.pen_up; });
    this.brush.addEventListener("input", () => { this.#board.brush = Number(this.brush.value) / 100; this.#board.repaint(); });
    this.easel.addEventListener("dragover", (event) => event.preventDefault());
    this.easel.addEventListener("drop", (event) => { event.preventDefault(); this.#open(event.dataTransfer.files[0]); });
    document.addEventListener("paste", (event) => { if (!root.hidden && event.clipboardData.files.length) this.#open(event.clipboardData.files[0]); });
    new ResizeObserver(() => { this.#paintPicture(); this.#drawInside(); }).observe(root);
    this.variations = new Variations(variations, this.#page);
    this.#album = new Album(album, this.#page, { chosen: () => this.#chosen, use: (id) => this.#useNew(id), tell: (text) => this.#tell(text) });
    this.#buttons();
  }

  #album;

  /** Say something that the reader should hear; errors stay to be read. */
  #tell(sentence) {
    this.message.textContent = sentence;
    this.message.hidden = !sentence;
  }

  // Models

  async #offer() {
    const { model, state, words } = this.#page, { offers } = model;
    this.#progress();
    const option = ({ id, name }) => element("option", { value: id }, name);
    this.model.replaceChildren(...offers.map(option));
    this.with.replaceChildren(element("option", { value: "" }, words.none), ...offers.map(option));
    if (!offers.length) return;
    const wanted = state.get("model");
    await this.#use(offers.some(({ id }) => id === wanted) ? wanted : this.#chosen ?? offers[0].id, { remember: false });
    const second = state.get("with");
    if (offers.some(({ id }) => id === second)) await this.#compareWith(second);
    this.model.closest(".models").hidden = false;
  }

  #progress() {
    const { model: { training, offers }, words, percent } = this.#page;
    this.training.hidden = training === null || offers.length > 0;
    if (this.training.hidden) return;
    if (training.error) {
      this.training.replaceChildren(element("p", {}, training.error));
      return;
    }
    const sentence = training.number
      ? filled(words.training_epoch, { number: training.number, epochs: training.epochs, share: percent(training.val_accuracy, 1) })
      : words.training_first;
    this.training.replaceChildren(
      element("p", {}, sentence),
      element("progress", { max: training.epochs || 1, value: training.number, "aria-label": words.training_first }),
    );
  }

  async #use(id, { remember = true } = {}) {
    const { model, state } = this.#page;
    try {
      const network = await model.network(id);
      if (network.pixels !== 784) throw new Error(this.#page.words.other_size);
      this.#network = network;
    } catch (error) {
      this.#tell(error.message);
      return;
    }
    this.#chosen = id;
    this.model.value = id;
    this.#album.classNames = this.#network.classNames;
    if (remember) state.set({ model: id });
    this.#buttons();
    this.#changed();
    this.#album.evaluate().catch((error) => this.#tell(error.message));
  }

  /** Use a model that has just been made; the one before it stays beside it. */
  async #useNew(id) {
    const before = this.#chosen;
    await this.#page.model.list();
    this.#page.state.set({ model: id, with: before });
    await this.#offer();
  }

  async #compareWith(id) {
    try {
      this.#second = id ? await this.#page.model.network(id) : null;
    } catch (error) {
      this.#tell(error.message);
      this.#second = null;
    }
    this.with.value = this.#second ? id : "";
    this.#page.state.set({ with: this.with.value });
    this.#update();
  }

  /** A row of bars, and a button to say what it is, for each class. */
  #buttons() {
    const names = this.#network?.classNames ?? Array.from({ length: 10 }, (_, index) => String(index));
    if (this.names?.join() === names.join()) return;
    this.names = names;
    const { words } = this.#page;
    this.rows = names.map((name, index) => {
      const fill = element("span", { class: "fill" }), share = element("span", { class: "percent" });
      const button = element("button", { type: "button", "aria-pressed": "false", title: filled(words.explain, { name }), onclick: () => this.#explain(index) },
        element("span", { class: "name" }, name), element("span", { class: "track" }, fill), share);
      return { fill, share, button };
    });
    this.bars.replaceChildren(...this.rows.map(({ button }) => element("li", {}, button)));
    if (names.length <= BUTTONS) {
      this.labels.replaceChildren(...names.map((name, index) => element("button", { type: "button", data: { label: index }, "aria-label": filled(words.it_is, { name }), onclick: () => this.#keep(index) }, name)));
    } else {
      const choice = element("select", { "aria-labelledby": "correct" }, ...names.map((name, index) => element("option", { value: index }, name)));
      this.labels.replaceChildren(choice, element("button", { type: "button", onclick: () => this.#keep(Number(choice.value)) }, words.keep));
    }
  }

  // The drawing

  #ink() {
    const ink = this.#board.ink();
    if (!this.#picture) return ink;
    return { ...ink, data: ink.data.map((value, index) => Math.max(value, this.#picture[index])) };
  }

  #changed() {
    this.#began ??= performance.now();
    if (!this.#frame) this.#frame = requestAnimationFrame(() => { this.#frame = 0; this.#update(); });
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#settle(), SETTLED);
  }

  #began = null;

  #undo() {
    if (this.#board.canUndo) this.#board.undo();
    else this.#lay(null);
  }

  #clear() {
    this.#board.clear();
    this.#lay(null);
    this.#page.state.set({ d: null });
    document.getElementById("board").focus({ focusVisible: false });
  }

  /** Lay a picture below the strokes: ink, or null for none. */
  #lay(ink) {
    this.#picture = ink;
    this.#paintPicture();
    this.#changed();
  }

  #paintPicture() {
    const canvas = this.pictureCanvas;
    if (canvas.width !== SIDE) Object.assign(canvas, { width: SIDE, height: SIDE });
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, SIDE, SIDE);
    if (!this.#picture) return;
    const image = new ImageData(SIDE, SIDE);
    this.#picture.forEach((value, index) => { image.data[4 * index + 3] = value; });
    context.putImageData(image, 0, 0);
    context.globalCompositeOperation = "source-in"; // the ink of the picture, in the colour of the text
    context.fillStyle = colour("text");
    context.fillRect(0, 0, SIDE, SIDE);
    context.globalCompositeOperation = "source-over";
  }

  async #open(file) {
    const { words } = this.#page;
    if (!file) return;
    this.#tell("");
    try {
      if (file.size > LARGEST_PICTURE) throw new RangeError();
      const picture = await createImageBitmap(file);
      if (picture.width * picture.height > MOST_PIXELS) throw new RangeError();
      const ink = inkOf(picture, SIDE);
      picture.close();
      this.#board.clear();
      this.#lay(ink);
      if (!ink) this.#tell(words.no_ink);
    } catch {
      this.#tell(words.no_picture);
    }
  }

  async #examples(seed) {
    this.seed = seed;
    const { words } = this.#page;
    try {
      const found = await this.#page.api(`/api/examples?count=24&seed=${seed}`);
      this.gallery.replaceChildren(...found.map(({ name, pixels, index }) => {
        const image = fromBase64(pixels);
        return element("button", { type: "button", "aria-label": filled(words.example, { name }), data: { example: index }, onclick: () => this.#begin(image) }, thumbnail(image));
      }));
    } catch (error) {
      this.#tell(error.message);
    }
  }

  /** Begin with an image: ten pixels of the board for each of its. */
  #begin(image) {
    this.#board.clear();
    const ink = new Uint8Array(SIDE * SIDE);
    for (let i = 0; i < ink.length; i += 1) ink[i] = image[Math.floor(i / SIDE / 10) * 28 + Math.floor((i % SIDE) / 10)];
    this.#lay(ink);
    this.easel.scrollIntoView({ block: "nearest" });
  }

  async #restore() {
    const { state, model } = this.#page;
    const why = state.get("why"), drawn = state.get("d");
    this.#why = why !== null && /^\d+$/.test(why) ? Number(why) : null;
    if (drawn) this.#board.strokes = read(drawn);
    this.#restored = true;
    const wanted = state.get("model");
    if (wanted && wanted !== this.#chosen && model.offers.some(({ id }) => id === wanted)) await this.#use(wanted);
    if (state.get("with") !== this.with.value && this.#network) await this.#compareWith(state.get("with", ""));
    this.#changed();
  }

  async #keep(label) {
    const { words } = this.#page;
    this.#tell("");
    if (!this.#seen) {
      this.#tell(words.draw_first);
      return;
    }
    try {
      const strokes = this.#picture ? [] : this.#board.strokes;
      await this.#album.keep(this.#seen.pixels, label, strokes);
      this.said.textContent = filled(words.kept, { name: this.names[label] });
      this.kept?.remove();
      this.kept = element("p", { class: "quiet" }, filled(words.kept, { name: this.names[label] }), " ", element("a", { href: "#album-title", onclick: (event) => { event.preventDefault(); document.getElementById("album-title").scrollIntoView({ behavior: "smooth" }); } }, words.album));
      this.labels.after(this.kept);
    } catch (error) {
      this.#tell(error.message);
    }
  }

  // The answer

  #explain(index) {
    this.#why = this.#why === index ? null : index;
    this.#page.state.set({ why: this.#why });
    this.#update();
  }

  /** What follows each stroke as it is drawn. */
  #update() {
    const { words, percent } = this.#page, network = this.#network;
    const ink = this.#ink(), seen = asNetworkSees(ink.data, ink.height, ink.width);
    this.#seen = seen;
    this.hint.hidden = seen !== null;
    this.undo.disabled = !this.#board.canUndo && !this.#picture;
    this.clear.disabled = seen === null;
    paintPixels(this.centred, seen?.pixels);
    const looks = { raw: seen && wholeBoard(ink), box: seen && boxOnly(ink, seen.box), centred: seen?.pixels };
    for (const name of ["raw", "box"]) paintPixels(this[name], looks[name]);
    if (!network) return;
    this.#shares = seen && network.probabilities(seen.pixels);
    this.#showAnswer();
    for (const [name, pixels] of Object.entries(looks)) {
      if (!pixels) {
        this.answers[name].textContent = "";
        continue;
      }
      const shares = name === "centred" ? this.#shares : network.probabilities(pixels), best = argmax(shares);
      this.answers[name].textContent = filled(words.says, { name: network.classNames[best], share: percent(shares[best]) });
      this.answers[name].classList.toggle("other", best !== argmax(this.#shares));
    }
    const target = this.#target();
    this.#paintSaliency(seen && network.saliency(seen.pixels, target), seen?.pixels);
    this.saliencyTitle.textContent = seen ? filled(words.speaks_for, { name: network.classNames[target] }) : words.speaks;
    this.saliency.setAttribute("aria-label", this.saliencyTitle.textContent);
    this.#drawInside();
    if (this.#began !== null) performance.measure("answer", { start: this.#began, end: performance.now() });
    this.#began = null;
  }

  #target() {
    const count = this.#network.classNames.length;
    return this.#why !== null && this.#why < count ? this.#why : this.#shares ? argmax(this.#shares) : 0;
  }

  #showAnswer() {
    const { words, percent } = this.#page, names = this.#network.classNames, shares = this.#shares;
    const order = shares ? [...shares.keys()].sort((a, b) => shares[b] - shares[a]) : [];
    const [best, next] = order;
    this.digit.textContent = shares ? names[best] : "–";
    this.digit.classList.toggle("empty", !shares);
    this.digit.classList.toggle("long", shares !== null && names[best].length > 2);
    this.share.textContent = shares ? filled(words.sure, { share: percent(shares[best], 1) }) : words.nothing;
    this.runner.textContent = shares ? filled(words.next, { name: names[next], share: percent(shares[next], 1) }) : "";
    this.rows.forEach(({ fill, share, button }, index) => {
      fill.style.setProperty("--share", shares ? shares[index].toFixed(4) : 0);
      share.textContent = shares ? percent(shares[index], 1) : "";
      button.parentElement.classList.toggle("first", index === best);
      button.setAttribute("aria-pressed", String(this.#why === index));
    });
    if (this.#second && shares && this.#seen) {
      const others = this.#second.probabilities(this.#seen.pixels), other = argmax(others);
      const name = this.with.selectedOptions[0]?.textContent ?? "";
      const agrees = this.#second.classNames[other] === names[best];
      this.secondAnswer.textContent = filled(words.second, { model: name, name: this.#second.classNames[other], share: percent(others[other], 1) });
      this.secondAnswer.classList.toggle("differs", !agrees);
    } else {
      this.secondAnswer.textContent = "";
    }
  }

  #paintSaliency(values, pixels) {
    if (!values) {
      paintPixels(this.saliency, null);
      return;
    }
    if (this.saliency.width !== 28) Object.assign(this.saliency, { width: 28, height: 28 });
    const image = new ImageData(28, 28);
    const most = values.reduce((found, value) => Math.max(found, Math.abs(value)), 1e-9);
    values.forEach((value, i) => {
      const strength = Math.sqrt(Math.abs(value) / most), grey = 0.28 * pixels[i];
      const [red, green, blue] = value > 0 ? [90, 175, 255] : [255, 140, 50];
      [red, green, blue].forEach((tone, part) => { image.data[4 * i + part] = strength * tone + (1 - strength) * grey; });
      image.data[4 * i + 3] = 255;
    });
    this.saliency.getContext("2d").putImageData(image, 0, 0);
  }

  #drawInside() {
    const network = this.#network, { words, number } = this.#page;
    if (!network || this.#root.hidden) return;
    const hidden = network.activations.map((name, index) => [filled(words.units, { count: number(network.members[0][index].units) }), name]);
    const labels = [[filled(words.pixels, { count: network.pixels })], ...hidden, [filled(words.classes, { count: network.classNames.length })]];
    const active = drawNetwork(this.inside, network, this.#seen?.pixels, this.#target(), labels);
    const sentences = (active ?? []).map((count, index) => filled(words.active, { layer: index + 1, count: number(count), of: number(network.members[0][index].units) }));
    if (this.#seen) sentences.unshift(filled(words.ways, { name: network.classNames[this.#target()] }));
    if (network.residual) sentences.push(words.residual);
    if (network.members.length > 1) sentences.push(filled(words.members, { count: network.members.length }));
    this.insideSaid.textContent = sentences.join(" ");
    this.inside.setAttribute("aria-label", sentences.length ? sentences.join(" ") : words.inside);
  }

  /** What follows when the hand rests. */
  async #settle() {
    const { words, percent, number, state } = this.#page, network = this.#network, seen = this.#seen;
    if (this.#board.drawing) {
      this.#settling = setTimeout(() => this.#settle(), SETTLED);
      return;
    }
    const drawn = this.#picture ? "" : written(this.#board.strokes);
    if (this.#restored) state.set({ d: drawn.length < 4000 ? drawn : null }); // not before the address was read
    if (!network) return;
    this.variations.show(network, seen?.pixels ?? null);
    if (!seen) {
      this.said.textContent = words.nothing;
      this.near.replaceChildren();
      this.nearSaid.textContent = words.near_none;
      return;
    }
    const shares = this.#shares, order = [...shares.keys()].sort((a, b) => shares[b] - shares[a]);
    this.said.textContent = filled(words.heard, { name: network.classNames[order[0]], share: percent(shares[order[0]]), next: network.classNames[order[1]], next_share: percent(shares[order[1]], 1) });
    const asked = ++this.#asked;
    if (!this.near.children.length) this.nearSaid.textContent = words.near_asked;
    try {
      const found = await this.#page.api("/api/neighbours", { body: { pixels: [...seen.pixels], count: 10 } });
      if (asked !== this.#asked) return;
      const counts = new Map();
      found.forEach(({ name }) => counts.set(name, (counts.get(name) ?? 0) + 1));
      const [most, count] = [...counts].sort((a, b) => b[1] - a[1])[0];
      this.nearSaid.textContent = filled(words.near_said, { count, of: found.length, name: most });
      this.near.replaceChildren(...found.map(({ name, pixels, distance }) => element("li", {}, thumbnail(fromBase64(pixels)), element("strong", {}, name), element("span", { class: "quiet" }, number(distance, 1)))));
    } catch (error) {
      this.nearSaid.textContent = error.message;
      this.near.replaceChildren();
    }
  }
}
