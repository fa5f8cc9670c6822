/** The tab to play in: set up a network, train it, and watch. */

import { drawn, element, filled } from "./element.js";
import { CompareView } from "./play-compare.js";
import { FIELDS, SetupControls, fromAddress, inAddress, lockedIn } from "./play-setup.js";
import { ShareView } from "./play-share.js";
import { Chart, ProbesView, WeightsView, decimals, legend } from "./play-views.js";

const PACES = { slow: 1, watch: 5, fast: 0 };  // epochs a second at most
const ICONS = {
  train: "M4 2.5v11l9-5.5z", pause: "M4 3h3v10H4zM9 3h3v10H9z", step: "M3 2.5v11l7-5.5zM11 3h2v10h-2z",
  reset: "M8 3a5 5 0 1 1-4.6 3h1.7A3.4 3.4 0 1 0 8 4.6V7L4.4 3.8 8 .6z",
};

export async function mount(root, page) {
  const playground = await page.api("/api/play");
  const tab = new Play(page, playground);
  root.append(...tab.elements);
  tab.begin();
}

/** What an attempt is: a setup, its size, its epochs so far, and the last picture of its first layer. */
function attemptOf(setup) {
  return { setup, parameters: 0, epochs: [], weights: null, reached: 0, state: "ready" };
}

class Play {
  #page;
  #playground;
  #words;
  #controls;
  #share;
  #compare;
  #charts;
  #weights;
  #probes;
  #attempt;
  #previous = null;
  #described = null;
  #close = null;  // stops following what is trained
  #job = null;
  #pace = "watch";
  #restart = false;  // go on at once when it has paused
  #asked = 0;  // descriptions asked for, to know the last one's answer
  #timer = 0;
  #waiting = 0;
  #spoken = 0;
  #frame = 0;

  constructor(page, playground) {
    this.#page = page;
    this.#playground = playground;
    const words = this.#words = page.words;
    this.#controls = new SetupControls(page, playground);
    this.#share = new ShareView(page, (on) => {
      this.#controls.locking = on;
      this.#keepLocks(on ? this.#controls.locked : []);
    });
    this.#compare = new CompareView(page, playground);
    this.#charts = [
      new Chart(page, "loss", (value, step) => page.number(value, decimals(step))),
      new Chart(page, "accuracy", (value, step) => page.percent(value, decimals(100 * step))),
    ];
    this.#weights = new WeightsView(page, playground.image_shape);
    this.#probes = new ProbesView(page, playground);
    this.#build(words);
    this.#controls.addEventListener("change", () => this.#changed());
    this.#controls.addEventListener("lock", () => this.#keepLocks(this.#controls.locked));
    page.state.addEventListener("change", () => this.#takeAddress());
    this.#compare.addEventListener("busy", () => this.#drawState());
  }

  #build(words) {
    const button = (name, text, press) => {
      const made = element("button", { type: "button", "data-role": name, onclick: press }, icon(ICONS[name]), element("span", {}, text));
      return made;
    };
    this.run = button("train", words.train, () => this.#press());
    this.run.classList.add("primary");
    this.step = button("step", words.step, () => this.#train(this.#attempt.reached + 1));
    this.reset = button("reset", words.reset, () => this.#reset());
    this.speed = element("select", { "data-role": "speed", onchange: () => this.#changePace(this.speed.value) },
      ...Object.keys(PACES).map((name) => element("option", { value: name }, words[`speed_${name}`])));
    this.status = element("p", { class: "status", "data-role": "status" });
    this.spoken = element("p", { class: "unseen", role: "status" });
    this.trouble = element("p", { class: "notice", role: "alert", hidden: true });
    this.progress = element("progress", { max: 1, value: 0, "aria-label": words.epochs });
    this.size = element("p", { class: "quiet size", "data-role": "size" });
    this.given = element("p", { class: "notice", hidden: true }, words.given);
    this.figures = element("tbody", {});
    const head = [words.epoch, words.val_accuracy, words.val_loss, words.train_accuracy, words.train_loss];
    const figures = element("details", { class: "figures" }, element("summary", {}, words.figures),
      element("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": words.figures },
        element("table", {}, element("thead", {}, element("tr", {}, ...head.map((text) => element("th", { scope: "col", class: "number" }, text)))), this.figures)));
    figures.addEventListener("toggle", () => this.#drawFigures());
    this.details = figures;
    const transport = element("section", { class: "card transport" },
      element("div", { class: "row" }, this.run, this.step, this.reset,
        element("label", { class: "speed" }, element("span", {}, words.speed), " ", this.speed)),
      this.progress, this.status, this.spoken, this.trouble);
    const curves = element("section", { class: "card curves-card" },
      element("div", { class: "charts" }, ...this.#charts.map((chart) => chart.element)), legend(this.#page), figures);
    const setup = element("details", { class: "card setup-card", open: !matchMedia("(max-width: 64rem)").matches },
      element("summary", {}, element("h2", {}, words.setup)), this.#controls.element, this.size,
      element("p", { class: "quiet busy-note" }, words.pause_to_change));
    const stage = element("div", { class: "stage" }, curves, this.#weights.element, this.#probes.element, this.#compare.element, this.#share.element);
    this.layout = element("div", { class: "playground" }, transport, setup, stage);
    this.elements = [element("h1", {}, words.heading), element("p", { class: "lead" }, words.lead), this.given, this.layout];
  }

  /** Show what the address says. */
  begin() {
    this.#takeAddress();
  }

  #takeAddress() {
    const { state } = this.#page;
    const setup = fromAddress(state, this.#playground.start);
    const locked = lockedIn(state);
    this.#pace = Object.hasOwn(PACES, state.get("speed", "watch")) ? state.get("speed", "watch") : "watch";
    this.speed.value = this.#pace;
    this.given.hidden = locked.length === 0;
    this.#share.given = locked.length > 0;
    this.#controls.show(setup, locked);
    this.#changed();
  }

  /** The setup is another one: the attempt at hand is the previous one from now on. */
  #changed() {
    const { setup } = this.#controls;
    this.#leave();
    if (this.#attempt?.epochs.length > 1) this.#previous = this.#attempt;
    this.#attempt = attemptOf(setup);
    this.#page.state.set(inAddress(setup, this.#playground.start));
    this.#draw();
    this.#describe();
  }

  #keepLocks(fields) {
    this.#page.state.set({ lock: FIELDS.filter((field) => fields.includes(field)).join(".") || null });
    this.#share.show(this.#described?.written, location.href);
  }

  #describe() {
    this.#asked += 1;
    const asked = this.#asked;
    const attempt = this.#attempt;
    this.#described = null;
    this.#drawState();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      try {
        const described = await this.#page.api("/api/play/describe", { body: attempt.setup });
        if (asked !== this.#asked) return;
        this.#described = described;
        attempt.parameters = described.parameters;
        this.#complain([]);
        const sentence = described.seconds < 1 ? this.#words.size_short : this.#words.size;
        this.size.textContent = filled(sentence, {
          parameters: this.#page.number(described.parameters), steps: this.#page.number(described.steps), seconds: this.#page.number(described.seconds),
        });
        this.#share.show(described.written, location.href);
      } catch (error) {
        if (asked !== this.#asked) return;
        this.size.textContent = "";
        this.#share.show(null, location.href);
        this.#complain(error.problems?.length ? error.problems : [{ where: [], sentence: error.message }]);
      }
      this.#drawState();
    }, 120);
  }

  #complain(problems) {
    const left = this.#controls.complain(problems);
    this.trouble.textContent = left.join(" ");
    this.trouble.hidden = left.length === 0;
  }

  get #running() { return this.#close !== null; }

  #press() {
    if (this.#running) {
      this.#pause();
      return;
    }
    if (["ended", "diverged"].includes(this.#attempt.state)) this.#clear();
    this.#train(this.#attempt.setup.epochs);
  }

  async #train(until) {
    const attempt = this.#attempt;
    if (attempt.state === "ended" || attempt.state === "diverged") return;
    const from = attempt.reached;
    attempt.state = "starting";
    attempt.trouble = null;
    this.#complain([]);
    this.#close = () => {};
    this.#say(this.#words.starting);
    this.#drawState();
    try {
      const asked = { setup: attempt.setup, start: from, until: Math.min(until, attempt.setup.epochs), pace: PACES[this.#pace] };
      const { job } = await this.#page.api("/api/play/train", { body: asked });
      if (attempt !== this.#attempt || attempt.state !== "starting") {  // it was left meanwhile
        this.#page.api(`/api/jobs/${job}/stop`, { method: "POST" }).catch(() => {});
        return;
      }
      this.#follow(attempt, job);
    } catch (error) {
      if (attempt !== this.#attempt) return;
      this.#close = null;
      attempt.state = from ? "paused" : "ready";
      this.#complain(error.problems?.length ? error.problems : [{ where: [], sentence: error.message }]);
      this.#drawState();
    }
  }

  #follow(attempt, job) {
    this.#job = job;
    const close = this.#page.events(`/api/jobs/${job}/events`, {
      state: ({ state, error, note }) => {
        if (state === "running") { clearInterval(this.#waiting); attempt.state = "running"; }
        if (error) attempt.trouble = filled(this.#words.failed, { sentence: error });
        if (note) attempt.trouble = note;
        this.#drawState();
      },
      weights: (weights) => { attempt.weights = weights; },
      epoch: (epoch) => {
        attempt.epochs.push(epoch);
        attempt.reached = epoch.number;
        this.#tellNow(attempt);
        this.#drawSoon();
      },
      end: () => this.#ended(attempt, job),
      error: (error) => { attempt.trouble = error.message; this.#ended(attempt, null); },
    });
    this.#close = () => { close(); clearInterval(this.#waiting); };
    this.#waiting = setInterval(async () => {
      const { state, ahead } = await this.#page.api(`/api/jobs/${job}`).catch(() => ({}));
      if (job !== this.#job || state !== "waiting") return;
      attempt.state = "waiting";
      attempt.ahead = ahead;
      this.#drawState();
    }, 700);
  }

  async #ended(attempt, job) {
    const { result } = job ? await this.#page.api(`/api/jobs/${job}`).catch(() => ({})) : {};
    if (attempt !== this.#attempt || (job && job !== this.#job)) return;
    this.#close?.();
    this.#close = null;
    this.#job = null;
    if (result?.diverged) attempt.state = "diverged";
    else if (result?.ended) attempt.state = "ended";
    else attempt.state = attempt.reached ? "paused" : "ready";
    if (attempt.trouble) this.#complain([{ where: [], sentence: attempt.trouble }]);
    const again = this.#restart && attempt.state === "paused";
    this.#restart = false;
    this.#draw();
    if (again) this.#train(attempt.setup.epochs);
    else this.#say(this.status.textContent);
  }

  #pause() {
    if (this.#job) this.#page.api(`/api/jobs/${this.#job}/stop`, { method: "POST" }).catch((error) => this.#complain([{ where: [], sentence: error.message }]));
    else this.#reset();
  }

  #changePace(pace) {
    this.#pace = pace;
    this.#page.state.set({ speed: pace === "watch" ? null : pace });
    this.#share.show(this.#described?.written, location.href);
    if (this.#job) {
      this.#restart = true;
      this.#pause();
    }
  }

  /** Stop following, and let the server stop: nobody waits for it. */
  #leave() {
    if (this.#job) this.#page.api(`/api/jobs/${this.#job}/stop`, { method: "POST" }).catch(() => {});
    this.#close?.();
    this.#close = null;
    this.#job = null;
    this.#restart = false;
  }

  #reset() {
    this.#leave();
    this.#clear();
    this.#complain([]);
    this.#say(this.#words.ready);
    this.#draw();
  }

  #clear() {
    const { parameters } = this.#attempt;
    this.#attempt = { ...attemptOf(this.#attempt.setup), parameters };
  }

  #say(sentence) { this.spoken.textContent = sentence; }

  /** A screen reader hears of every quarter, not of every epoch. */
  #tellNow(attempt) {
    const quarter = Math.floor((4 * attempt.reached) / attempt.setup.epochs);
    if (attempt.reached <= 1) this.#spoken = 0;
    if (quarter > this.#spoken && quarter < 4) this.#say(this.#sentence());
    this.#spoken = quarter;
  }

  #drawSoon() {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => { this.#frame = 0; this.#draw(); });
  }

  #draw() {
    const attempt = this.#attempt;
    for (const chart of this.#charts) chart.show(attempt.epochs, this.#previous?.epochs ?? [], attempt.setup.epochs);
    this.layout.classList.toggle("has-previous", this.#previous !== null);
    this.#weights.show(attempt.weights);
    this.#probes.show(attempt.epochs.at(-1) ?? null);
    this.#compare.show(attempt, this.#previous);
    this.#drawFigures();
    this.#drawState();
  }

  #drawFigures() {
    if (!this.details.open) return;
    const { percent, number } = this.#page;
    const accuracy = (value) => (Number.isFinite(value) ? percent(value, 2) : "–"), loss = (value) => (Number.isFinite(value) ? number(value, 4) : "–");
    this.figures.replaceChildren(...this.#attempt.epochs.map((epoch) => element("tr", {},
      ...[number(epoch.number), accuracy(epoch.val_accuracy), loss(epoch.val_loss), accuracy(epoch.accuracy), loss(epoch.loss)].map((text) => element("td", { class: "number" }, text)))));
  }

  #drawState() {
    const words = this.#words, attempt = this.#attempt;
    const running = this.#running;
    const over = attempt.state === "ended" || attempt.state === "diverged";
    const [name, text] = running ? ["pause", words.pause] : attempt.state === "paused" ? ["train", words.go_on] : ["train", words.train];
    this.run.querySelector("path").setAttribute("d", ICONS[name]);
    this.run.lastChild.textContent = text;
    this.run.disabled = !running && (!this.#described || this.#compare.comparing);
    this.step.disabled = running || over || !this.#described || this.#compare.comparing;
    this.reset.disabled = !running && attempt.epochs.length === 0;
    this.progress.max = attempt.setup.epochs > 0 ? attempt.setup.epochs : 1;
    this.progress.value = Math.min(attempt.reached, this.progress.max);
    this.status.textContent = this.#sentence();
    this.layout.dataset.state = attempt.state;
    this.layout.dataset.reached = attempt.reached;
    this.layout.classList.toggle("running", running);
    this.#controls.busy = running || this.#compare.comparing;
    this.#compare.busy = running;
  }

  #sentence() {
    const words = this.#words, attempt = this.#attempt;
    const last = attempt.epochs.at(-1);
    const values = {
      number: this.#page.number(attempt.reached), epochs: this.#page.number(attempt.setup.epochs),
      accuracy: last && Number.isFinite(last.val_accuracy) ? this.#page.percent(last.val_accuracy, 1) : "–",
    };
    switch (attempt.state) {
      case "starting": return words.starting;
      case "waiting": return attempt.ahead ? filled(words.waiting_ahead, { ahead: this.#page.number(attempt.ahead) }) : words.waiting;
      case "running": return filled(words.running, values);
      case "paused": return filled(words.paused, values);
      case "ended": return filled(words.ended, values);
      case "diverged": return filled(words.diverged, values);
      default: return words.ready;
    }
  }
}

function icon(path) {
  return drawn("svg", { viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" }, drawn("path", { d: path, fill: "currentColor" }));
}
