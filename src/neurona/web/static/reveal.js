/** The tab to predict in: a guess first, then what the study says of it. Nothing of an answer is here before the guess. */

import { attempted, element, filled } from "./element.js";
import { fitted, strip } from "./lab-charts.js";
import { badge, duration } from "./lab.js";

const KEPT = "neurona-guesses";  // in the session's storage: study -> group -> {guesses, results}
const SIGNS = { better: "▲", none: "=", worse: "▼" };

class Guesses {
  #all = {};

  constructor() {
    try { this.#all = JSON.parse(sessionStorage.getItem(KEPT)) ?? {}; } catch { /* storage is forbidden: kept in the page */ }
  }

  of(study) { return this.#all[study] ?? {}; }

  keep(study, group, value) {
    this.#all[study] = { ...this.of(study), [group]: value };
    if (value === null) delete this.#all[study][group];
    this.#store();
  }

  forget(study) {
    delete this.#all[study];
    this.#store();
  }

  #store() {
    try { sessionStorage.setItem(KEPT, JSON.stringify(this.#all)); } catch { /* as above */ }
  }
}

class RevealTab {
  constructor(root, page) {
    Object.assign(this, { root, page, words: page.words, guesses: new Guesses(), stop: null, found: null });
    this.said = element("p", { class: "unseen", role: "status", "aria-live": "polite" });
    this.problem = element("p", { class: "notice", role: "alert", hidden: true });
    this.score = element("div", { class: "score" });
    this.nav = element("ul", { class: "exercises" });
    this.card = element("section", { class: "card question", "aria-live": "off" });
    root.append(
      element("h1", {}, this.words.heading),
      element("p", { class: "lead" }, this.words.lead),
      this.said, this.problem, this.score,
      element("div", { class: "desk" }, element("nav", { "aria-label": this.words.exercises }, this.nav), this.card),
    );
    root.addEventListener("show", () => this.arrive());
    root.addEventListener("hide", () => this.leave());
    page.state.addEventListener("change", () => this.arrive());
  }

  leave() {
    this.stop?.();
    this.stop = null;
  }

  async arrive() {
    const wanted = this.page.state.get("study");
    const query = wanted ? `?study=${encodeURIComponent(wanted)}` : "";
    let found = await attempted(this.problem, () => this.page.api(`/api/exercises${query}`));
    if (!found && wanted) found = await this.page.api("/api/exercises").catch(() => null);
    if (!found) return;
    this.found = found;
    this.study = found.study;
    const groups = found.exercises.map(({ group }) => group);
    const named = this.page.state.get("group");
    this.group = groups.includes(named) ? named : groups.find((group) => !this.answered(group)) ?? groups[0];
    this.page.state.set({ study: this.study, group: this.group });
    await this.draw();
  }

  answered(group) { return this.guesses.of(this.study)[group] ?? null; }

  get exercise() { return this.found.exercises.find(({ group }) => group === this.group); }

  async draw() {
    this.leave();
    this.drawScore();
    this.drawNav();
    if (!this.exercise) {
      this.card.replaceChildren(element("p", {}, this.words.no_exercises));
      return;
    }
    const kept = this.answered(this.group);
    if (kept && this.exercise.ready) await this.reveal(kept.guesses, false);
    else this.drawQuestion();
    this.root.dataset.shown = `${this.study} ${this.group}`;
  }

  drawScore() {
    const { words } = this;
    const results = Object.values(this.guesses.of(this.study)).flatMap(({ results: each }) => each);
    const right = results.filter((one) => one === "right").length;
    const counted = results.filter((one) => one !== "open").length;
    const open = results.length - counted;
    const done = this.found.exercises.length > 0 && this.found.exercises.every(({ group }) => this.answered(group));
    const parts = [];
    if (done) parts.push(words.finished);
    parts.push(results.length ? filled(words.score, { right, counted }) : words.score_none);
    if (open) parts.push(filled(words.score_open, { count: open }));
    const studies = element("label", { class: "row" }, element("span", { class: "quiet" }, words.study), element("select", {
      id: "reveal-study", onchange: (event) => { this.page.state.set({ study: event.target.value, group: null }); this.arrive().then(() => document.getElementById("reveal-study").focus()); },
    }, ...this.found.choices.map((name) => element("option", { value: name, selected: name === this.study }, name))));
    this.score.replaceChildren(this.found.choices.length > 1 ? studies : "", element("p", { class: "tally" }, parts.join(" · ")));
    if (results.length) this.score.append(element("button", { type: "button", id: "reveal-reset", onclick: () => { this.guesses.forget(this.study); this.draw(); } }, words.reset));
  }

  drawNav() {
    const { words } = this;
    this.nav.replaceChildren(...this.found.exercises.map(({ group, title, number }) => {
      const link = element("a", {
        href: `#reveal?study=${encodeURIComponent(this.study)}&group=${encodeURIComponent(group)}`, data: { group },
        "aria-current": group === this.group && "true",
      }, element("span", { class: "kicker" }, number ? filled(words.exercise, { number }) : group), element("span", {}, title));
      if (this.answered(group)) link.append(element("span", { class: "mark", title: words.done }, "✓", element("span", { class: "unseen" }, ` ${words.done}`)));
      return element("li", {}, link);
    }));
  }

  head() {
    const { exercise, words } = this;
    return [
      element("p", { class: "kicker" }, exercise.number ? filled(words.exercise, { number: exercise.number }) : exercise.group),
      element("h2", { tabindex: "-1" }, exercise.title),
      element("p", { class: "asked" }, exercise.question),
    ];
  }

  drawQuestion() {
    const { words, exercise, found } = this;
    const kept = Object.fromEntries((this.answered(this.group)?.guesses ?? []).map((guess) => [guess.experiment, guess]));
    const problem = element("p", { class: "notice", role: "alert", hidden: true }, words.choose);
    const button = element("button", { class: "primary", id: "reveal-it", disabled: !exercise.ready }, words.reveal);
    this.missing = element("div", { class: "missing" });
    const form = element("form", { novalidate: true, onsubmit: async (event) => {
      event.preventDefault();
      const given = exercise.experiments.map(({ name }) => this.given(form, name));
      problem.hidden = given.every(Boolean);
      if (!problem.hidden) {
        const first = exercise.experiments[given.findIndex((each) => !each)].name;
        form.querySelector(`fieldset[data-name="${CSS.escape(first)}"] input`).focus();
        return;
      }
      button.disabled = true;
      await this.reveal(given, true);
      button.disabled = false;
    } }, ...exercise.experiments.map((asked) => this.guessField(asked, kept[asked.name])), problem, element("div", { class: "act" }, button));
    this.card.replaceChildren(
      ...this.head(),
      element("p", { class: "baseline" }, element("strong", {}, `${words.baseline}: `), `${found.baseline}. `, words.against),
      this.missing, form,
    );
    if (!exercise.ready) this.drawMissing(button);
  }

  guessField({ name, differs }, before) {
    const { words } = this;
    const points = element("input", { type: "number", min: "0", max: "100", step: "any", value: before?.points || 1, inputmode: "decimal", id: `points-${name}` });
    const much = element("label", { class: "points", hidden: !before || before.direction === "none" }, element("span", {}, words.points), points);
    const pills = ["better", "none", "worse"].map((direction) => element("label", { class: "pill" },
      element("input", {
        type: "radio", name: `guess-${name}`, value: direction, checked: before?.direction === direction,
        onchange: () => { much.hidden = direction === "none"; },
      }), element("span", {}, element("span", { class: "sign", "aria-hidden": "true" }, SIGNS[direction]), words[direction])));
    return element("fieldset", { class: "guess", data: { name } },
      element("legend", {}, element("strong", {}, name), element("code", {}, differs)),
      element("div", { class: "choice" }, ...pills, much));
  }

  given(form, name) {
    const field = form.querySelector(`fieldset[data-name="${CSS.escape(name)}"]`);
    const direction = field.querySelector("input:checked")?.value;
    const points = field.querySelector("input[type=number]").valueAsNumber;
    if (!direction || (direction !== "none" && !(points >= 0 && points <= 100))) return null;
    return { experiment: name, direction, points: direction === "none" ? 0 : points };
  }

  /** Offer to train what the answer needs, and follow it. */
  drawMissing(button) {
    const { words, exercise, page } = this;
    const status = element("p", { class: "quiet" });
    const bar = element("progress", { max: 1, value: 0, hidden: true, "aria-label": words.run });
    const run = element("button", { type: "button", id: "reveal-run", onclick: async () => {
      const order = this.found.exists ? { study: this.study } : { lab: this.study };
      const progress = await attempted(this.problem, () => page.api("/api/labs", { body: { ...order, groups: [exercise.group], seeds: exercise.seeds } }));
      if (!progress) return;
      if (progress.study !== this.study) page.state.set({ study: progress.study });
      this.study = progress.study;
      this.found.exists = true;
      follow();
    } }, words.run);
    this.missing.className = "missing notice";
    this.missing.replaceChildren(element("p", {}, filled(words.missing, { count: exercise.missing })), bar, status, element("div", {}, run));
    const follow = () => {
      this.leave();
      this.stop = page.events(`/api/studies/${encodeURIComponent(this.study)}/events`, { progress: async (progress) => {
        const running = progress.state === "here" || progress.state === "elsewhere";
        run.hidden = running;
        bar.hidden = !running;
        [bar.max, bar.value] = [Math.max(progress.planned, 1), progress.done];
        const left = progress.seconds_left === null ? "" : ` · ${filled(words.left, { time: duration(progress.seconds_left, words) })}`;
        status.textContent = running ? filled(words.running, { done: progress.done, planned: progress.planned }) + left : "";
        if (this.version === progress.version) return;
        this.version = progress.version;
        const now = await page.api(`/api/exercises?study=${encodeURIComponent(this.study)}`).catch(() => null);
        const its = now?.exercises.find(({ group }) => group === exercise.group);
        if (!its?.ready || !this.missing.isConnected) return;
        this.found = now;
        button.disabled = false;
        if (running && its.missing) return;
        this.leave();
        this.missing.replaceChildren(element("p", {}, words.ready));
        this.said.textContent = words.ready;
      } });
    };
    this.version = null;
    if (this.found.exists) follow();
  }

  /** Ask what became of the guesses, and show it. */
  async reveal(given, asked) {
    const group = this.group;
    const answer = await attempted(this.problem, () => this.page.api(`/api/exercises/${encodeURIComponent(this.study)}/reveal`, { body: { group, guesses: given } }));
    if (!answer) {
      if (!asked) { this.guesses.keep(this.study, group, null); this.drawQuestion(); }
      return;
    }
    if (group !== this.group) return;
    this.guesses.keep(this.study, group, { guesses: given, results: answer.revealed.map(({ right }) => right) });
    this.drawAnswer(answer);
    this.drawScore();
    this.drawNav();
    if (asked) {
      this.card.querySelector("h2").focus();
      this.card.scrollIntoView({ block: "nearest" });
      this.said.textContent = this.score.querySelector(".tally").textContent;
    }
  }

  drawAnswer(answer) {
    const { words } = this;
    const next = this.found.exercises.find(({ group }) => !this.answered(group) && group !== this.group);
    const act = element("div", { class: "act" });
    if (next) act.append(element("a", { class: "button primary", id: "reveal-next", href: `#reveal?study=${encodeURIComponent(this.study)}&group=${encodeURIComponent(next.group)}` }, words.next));
    act.append(element("button", { type: "button", onclick: () => {
      this.guesses.keep(this.study, this.group, null);
      this.drawScore();
      this.drawNav();
      this.drawQuestion();
      this.card.querySelector("h2").focus();
    } }, words.again));
    this.card.replaceChildren(
      ...this.head(),
      element("p", { class: "quiet" }, [filled(words.baseline_has, { accuracy: answer.baseline }), filled(words.seeds_used, { count: answer.seeds }), words.near_rule].join(" · ")),
      ...answer.revealed.map((one) => this.answerOf(one)),
      act,
    );
  }

  answerOf(one) {
    const { words, page } = this;
    const signed = (value, digits) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${page.number(Math.abs(value), digits)}`;
    const result = one.right === "right" ? words[{ true: "right_near", false: "right_far" }[one.near] ?? "right"] : words[one.right];
    const guessed = { better: one.guessed_points, worse: -one.guessed_points, none: 0 }[one.guess];
    const said = one.guess === "none" ? filled(words.your_guess, { guess: words.none })
      : filled(words.your_guess_points, { guess: words[one.guess], points: page.number(one.guessed_points, one.guessed_points % 1 ? 1 : 0) });
    const place = element("div", { class: "plot" });
    const made = element("article", { class: "revealed", data: { name: one.experiment } },
      element("h3", {}, one.experiment, element("code", {}, one.differs)),
      element("p", { class: "outcome" }, element("span", { class: `result ${one.right}` }, result), element("span", { class: "said" }, said), badge(one.verdict)),
      one.points ? place : null,
      one.points ? element("ul", { class: "keys", "aria-hidden": "true" },
        element("li", {}, element("span", { class: "guess-key" }, "▼ "), words.guess_mark), element("li", {}, `● ${words.seen_mark}`)) : null,
      element("p", { class: "sentence" }, one.sentence),
      one.why.length ? element("p", { class: "why" }, one.why.join(" ")) : null);
    if (one.points) {
      fitted(place, (width) => strip(one.points, guessed, {
        width, word: one.verdict.word, axis: words.axis, seen: words.seen_mark, guessed: words.guess_mark, write: signed,
        title: filled(words.picture, { name: one.experiment, seen: signed(one.points.mean, 2), guess: signed(guessed, 1) }),
      }));
    }
    return made;
  }
}

export async function mount(root, page) {
  const tab = new RevealTab(root, page);
  await tab.arrive();
}
