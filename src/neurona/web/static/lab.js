/** The tab on labs: studies, live; their tables, curves, mistakes and reports; labs started, paused and resumed. */

import { attempted, element, filled } from "./element.js";
import { curvesChart, fitted, interval, legend, limitsOf } from "./lab-charts.js";

const KEYS = ["val_accuracy", "accuracy", "val_loss", "loss"];
const COLOURED = 6;  // curves that have a colour of their own

/** Return how long something takes, in words. */
export function duration(seconds, words) {
  return seconds < 45 ? words.under_a_minute : filled(words.minutes, { minutes: Math.max(1, Math.round(seconds / 60)) });
}

/** Return a badge with a verdict; its sign says what its colour says. */
export function badge(verdict) {
  return element("span", { class: `badge ${verdict.word}` }, verdict.shown);
}

class LabTab {
  constructor(root, page) {
    Object.assign(this, { root, page, words: page.words, name: null, progress: null, version: null, stop: null, fetching: false });
    this.said = element("p", { class: "unseen", role: "status", "aria-live": "polite" });
    this.problem = element("p", { class: "notice", role: "alert", hidden: true });
    this.list = element("ul", { class: "studies" });
    this.view = element("div", { class: "study", hidden: true });
    this.startCard = element("section", { class: "card start", "aria-labelledby": "lab-start" });
    root.append(
      element("h1", {}, this.words.heading),
      element("p", { class: "lead" }, this.words.lead),
      this.said, this.problem, this.list, this.view, this.startCard,
    );
    root.addEventListener("show", () => this.arrive());
    root.addEventListener("hide", () => this.leave());
    page.state.addEventListener("change", () => this.choose(page.state.get("study")));
  }

  async arrive() {
    await this.overview();
    await this.choose(this.page.state.get("study"), true);
  }

  leave() {
    this.stop?.();
    this.stop = null;
  }

  /** Do what may be refused; a refusal is shown. */
  async overview() {
    const found = await attempted(this.problem, () => this.page.api("/api/studies"));
    if (!found) return;
    this.found = found;
    this.list.replaceChildren(...found.studies.map((study) => this.entry(study)));
    if (!found.studies.length) this.list.replaceChildren(element("li", { class: "quiet none" }, this.words.none));
    if (!this.startCard.childElementCount) this.drawStart();
  }

  entry({ name, lab, dataset, progress, problem }) {
    const link = element("a", {
      class: "card", href: `#lab?study=${encodeURIComponent(name)}`, data: { study: name },
      "aria-current": name === this.name && "true",
    }, element("strong", {}, name));
    if (problem) link.append(element("span", { class: "quiet" }, this.words.cannot_read));
    else {
      link.append(
        element("span", { class: "quiet" }, lab === name ? dataset : `${lab} · ${dataset}`),
        element("progress", { max: Math.max(progress.planned, 1), value: progress.done, "aria-hidden": "true" }),
        element("span", { class: "standing" }, this.standing(progress)),
      );
    }
    return element("li", {}, link);
  }

  standing(progress) {
    const done = filled(this.words.done, { done: progress.done, planned: progress.planned });
    const state = this.words[`state_${progress.state}`];
    if (progress.state === "empty") return state;
    return progress.state === "complete" ? `${state} · ${done}` : `${done} · ${state}`;
  }

  /** Show the study called `name`, or the first there is. */
  async choose(name, again = false) {
    const names = (this.found?.studies ?? []).filter(({ problem }) => !problem).map((study) => study.name);
    if (!names.includes(name) && this.found && name) await this.overview();
    const known = (this.found?.studies ?? []).filter(({ problem }) => !problem).map((study) => study.name);
    const chosen = known.includes(name) ? name : known[0];
    if (!chosen) { this.view.hidden = true; return; }
    if (chosen === this.name && !again) return;
    this.leave();
    if (chosen !== this.name) Object.assign(this, { version: null, progress: null });
    this.name = chosen;
    this.page.state.set({ study: chosen });
    for (const link of this.list.querySelectorAll("a")) {
      if (link.dataset.study === chosen) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    this.drawView();
    this.follow();
  }

  address(rest = "") { return `/api/studies/${encodeURIComponent(this.name)}${rest}`; }

  follow() {
    const name = this.name;
    this.stop = this.page.events(this.address("/events"), {
      progress: (progress) => { if (name === this.name) this.take(progress); },
      end: () => { if (name === this.name) this.arrive(); },
    });
  }

  drawView() {
    this.view.hidden = false;
    const { words } = this;
    this.parts = {
      title: element("h2", { class: "title" }, this.name),
      actions: element("div", { class: "row actions" }),
      live: element("div", { class: "live" }),
      table: element("section", { class: "part", "aria-labelledby": "lab-table", hidden: true }),
      curves: element("section", { class: "part card", "aria-labelledby": "lab-curves", hidden: true }),
      mistakes: element("section", { class: "part card", "aria-labelledby": "lab-mistakes", hidden: true }),
      report: element("section", { class: "part card", "aria-labelledby": "lab-report", hidden: true }),
    };
    const { title, actions, live, table, curves, mistakes, report } = this.parts;
    this.view.replaceChildren(
      element("header", { class: "card head" }, title, actions, live,
        element("p", { class: "predict" }, element("a", { href: `#reveal?study=${encodeURIComponent(this.name)}` }, words.predict))),
      table, curves, mistakes, report,
    );
  }

  take(progress) {
    const before = this.progress;
    this.progress = progress;
    this.drawLive();
    this.say(before, progress);
    const entry = [...this.list.querySelectorAll("a")].find((link) => link.dataset.study === this.name);
    if (entry) {
      entry.querySelector("progress").max = Math.max(progress.planned, 1);
      entry.querySelector("progress").value = progress.done;
      entry.querySelector(".standing").textContent = this.standing(progress);
    }
    if (progress.version !== this.version) this.refresh();
    else if (before?.state !== progress.state) this.drawMistakes();
  }

  /** Tell who listens: when it starts, at each quarter, when it pauses or is complete; not each epoch. */
  say(before, now) {
    const values = { study: now.study, done: now.done, planned: now.planned };
    if (!before) return;
    const running = ({ state }) => state === "here" || state === "elsewhere";
    const quarter = ({ done, planned }) => Math.floor(4 * done / Math.max(planned, 1));
    let sentence = null;
    if (!running(before) && running(now)) sentence = this.words.said_started;
    else if (now.state === "complete" && before.state !== "complete") sentence = this.words.said_complete;
    else if (running(before) && now.state === "unfinished") sentence = this.words.said_paused;
    else if (running(now) && quarter(now) > quarter(before)) sentence = this.words.said_quarter;
    if (sentence) this.said.textContent = filled(sentence, values);
  }

  drawLive() {
    const { words, progress, parts } = this;
    const done = [filled(words.done, { done: progress.done, planned: progress.planned })];
    if (progress.failed) done.push(filled(words.failed, { count: progress.failed }));
    if (progress.seconds_left !== null) done.push(filled(words.left, { time: duration(progress.seconds_left, words) }));
    const running = progress.running.map(({ experiment, seed, epoch, epochs, val_accuracy: accuracy }) => {
      const sentence = epoch === null ? words.run_elsewhere : epoch ? words.run_here : words.run_begun;
      const shown = accuracy === null ? "–" : this.page.percent(accuracy, 1);
      return element("li", {}, filled(sentence, { experiment, seed, epoch, epochs, accuracy: shown }));
    });
    parts.live.replaceChildren(
      element("progress", { max: Math.max(progress.planned, 1), value: progress.done, "aria-label": filled(words.done, progress) }),
      element("p", { class: "standing" }, element("span", { class: `state ${progress.state}` }, words[`state_${progress.state}`]), ` ${done.join(" · ")}`),
    );
    if (running.length) parts.live.append(element("ul", { class: "running", "aria-label": words.now_running }, ...running));
    if (progress.pausing) parts.live.append(element("p", { class: "quiet" }, words.pausing));
    this.drawActions();
  }

  drawActions() {
    const { words, progress, parts } = this;
    const wanted = `${progress.state} ${progress.pausing}`;
    if (parts.actions.dataset.drawn === wanted) return;
    const focused = parts.actions.contains(document.activeElement);
    parts.actions.dataset.drawn = wanted;
    parts.actions.replaceChildren();
    if (progress.state === "here") {
      parts.actions.append(element("button", { type: "button", id: "lab-pause", disabled: progress.pausing, onclick: () => this.act("/pause") }, words.pause));
    } else if (progress.state === "unfinished") {
      parts.actions.append(element("button", { type: "button", id: "lab-resume", class: "primary", onclick: () => this.act("/resume") }, words.resume));
    } else if (progress.state === "complete") {
      const seeds = Math.max(0, ...progress.lines.map(({ planned }) => planned));
      const more = Math.min(this.found.most_seeds, seeds + 5);
      if (more > seeds) parts.actions.append(element("button", { type: "button", onclick: () => this.start({ study: this.name, seeds: more }) }, filled(words.more_seeds, { seeds: more })));
    }
    if (focused) parts.actions.querySelector("button:not(:disabled)")?.focus();
  }

  async act(what) {
    const progress = await attempted(this.problem, () => this.page.api(this.address(what), { method: "POST" }));
    if (progress) this.take(progress);
  }

  async start(order) {
    const progress = await attempted(this.problem, () => this.page.api("/api/labs", { body: order }));
    if (!progress) return false;
    await this.overview();
    await this.choose(progress.study);
    this.take(progress);
    this.view.scrollIntoView({ block: "start" });
    return true;
  }

  /** Fetch the table and what goes with it; once at a time, and again if the study has gone on meanwhile. */
  async refresh() {
    if (this.fetching) return;
    this.fetching = true;
    try {
      while (this.progress && this.version !== this.progress.version) {
        const { name, progress: { version } } = this;
        const table = await this.page.api(this.address("/table"));
        if (name !== this.name) break;
        this.drawTable(table);
        await this.drawCurves();
        if (name !== this.name) break;
        this.version = version;
      }
      await this.drawMistakes();
      await this.drawReport();
    } catch (error) {
      this.problem.textContent = error.message;
      this.problem.hidden = false;
    } finally {
      this.fetching = false;
    }
    this.root.dataset.shown = `${this.name} ${this.version}`;
    if (this.progress && this.progress.version !== this.version) this.refresh();
  }

  drawTable(table) {
    const { words, parts } = this;
    parts.title.textContent = table.title;
    const rows = table.groups.flatMap((group) => group.rows);
    const notebook = rows.some((row) => row.notebook);
    const limits = limitsOf(rows.map((row) => row.points).filter(Boolean));
    const [experiment, differs, parameters, accuracy, difference, verdict, book, seconds] = table.head;
    const number = { class: "number", scope: "col" };
    const head = element("tr", {},
      element("th", { scope: "col" }, experiment), element("th", { scope: "col" }, differs), element("th", number, parameters),
      element("th", number, accuracy), element("th", number, difference), element("th", { scope: "col" }, verdict),
      element("th", { class: "drawn", scope: "col" }, element("span", { class: "unseen" }, words.differences)),
      notebook ? element("th", number, book) : null, element("th", number, seconds));
    const bodies = table.groups.map((group) => element("tbody", {}, ...group.rows.map((row) => element("tr", { data: { name: row.name } },
      element("th", { scope: "row" }, row.name), element("td", { class: "what" }, row.differs),
      element("td", { class: "number" }, row.parameters), element("td", { class: "number" }, row.accuracy),
      element("td", { class: "number" }, row.difference), element("td", {}, row.verdict ? badge(row.verdict) : ""),
      element("td", { class: "drawn" }, row.points ? interval(row.points, limits, row.verdict?.word ?? "") : ""),
      notebook ? element("td", { class: "number" }, row.notebook) : null, element("td", { class: "number" }, row.seconds)))));
    const sentences = table.groups.filter((group) => group.sentence);
    parts.table.replaceChildren(
      element("h2", { id: "lab-table" }, words.table),
      element("p", {}, table.summary),
      element("div", { class: "scroll card", tabindex: "0", role: "region", "aria-label": words.table_scroll },
        element("table", { class: "verdicts" }, element("thead", {}, head), ...bodies)),
      element("p", { class: "quiet" }, table.explained.join(" ")),
      ...(table.note ? [element("p", { class: "notice" }, table.note)] : []),
      element("dl", { class: "sentences" }, ...sentences.flatMap((group) => [element("dt", {}, group.name), element("dd", {}, group.sentence)])),
    );
    parts.table.hidden = false;
  }

  async drawCurves() {
    const { words, parts, page } = this;
    const key = KEYS.includes(page.state.get("figure")) ? page.state.get("figure") : "val_accuracy";
    const { curves } = await page.api(this.address(`/curves?key=${key}`));
    parts.curves.hidden = !curves.length;
    if (!curves.length) return;
    const groups = [...new Set(curves.slice(1).map(({ group }) => group))];
    const group = groups.includes(page.state.get("group")) ? page.state.get("group") : groups[0] ?? "";
    const chosen = curves.filter((curve, i) => i === 0 || curve.group === group);
    const shown = chosen.map((curve, i) => ({ ...curve, style: i === 0 ? "base" : `c${(i - 1) % COLOURED}` }));
    const choice = (label, id, values, value, name, change) => element("label", {}, element("span", {}, label),
      element("select", { id, onchange: (event) => { page.state.set({ [change]: event.target.value }); this.drawCurves().then(() => document.getElementById(id).focus()); } },
        ...values.map((each) => element("option", { value: each, selected: each === value }, name(each)))));
    const percent = key.endsWith("accuracy");
    const write = (value, digits) => (percent ? page.percent(value, Math.max(0, digits - 2)) : page.number(value, digits));
    const place = element("div", { class: "plot" });
    const open = parts.curves.querySelector("details")?.open;
    parts.curves.replaceChildren(
      element("h2", { id: "lab-curves" }, words.curves),
      element("p", { class: "quiet" }, words.curves_lead),
      element("div", { class: "row choices" },
        groups.length > 1 ? choice(words.group, "lab-group", groups, group, (each) => each, "group") : null,
        choice(words.figure, "lab-figure", KEYS, key, (each) => words[each], "figure")),
      place, legend(shown), this.curveNumbers(shown, write, percent),
    );
    parts.curves.querySelector("details").open = Boolean(open);
    fitted(place, (width) => curvesChart(shown, {
      width, height: Math.max(220, Math.min(380, Math.round(width * 0.45))), across: words.epoch, write,
      title: `${words.curves}: ${group}, ${words[key]}`,
    }));
  }

  curveNumbers(curves, write, percent) {
    const epochs = Math.max(...curves.map(({ points }) => points.length));
    const head = element("tr", {}, element("th", { scope: "col" }, this.words.experiment),
      ...Array.from({ length: epochs }, (_, i) => element("th", { class: "number", scope: "col" }, `${this.words.epoch} ${i + 1}`)));
    const rows = curves.map(({ name, points }) => element("tr", {}, element("th", { scope: "row" }, name),
      ...Array.from({ length: epochs }, (_, i) => element("td", { class: "number" }, points[i] ? write(points[i].mean, 4) : ""))));
    return element("details", {}, element("summary", {}, this.words.numbers),
      element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": this.words.numbers },
        element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows))));
  }

  /** Show the mistakes; while a lab trains they stay as they are, since asking networks takes a core. */
  async drawMistakes(experiment = this.page.state.get("whose")) {
    const { words, parts, page, name } = this;
    if (!this.progress || (["here", "elsewhere"].includes(this.progress.state) && !parts.mistakes.hidden)) return;
    if (!this.progress.done) return;
    let found;
    try {
      found = await page.api(this.address(`/mistakes${experiment ? `?experiment=${encodeURIComponent(experiment)}` : ""}`));
    } catch (error) {
      if (error.status === 404 && experiment) { page.state.set({ whose: null }); await this.drawMistakes(null); }
      return;
    }
    if (name !== this.name) return;
    const pictures = found.images.map(({ image, label, answer, answers }) => element("li", {},
      element("img", { src: image, alt: "", width: 84, height: 84 }),
      element("p", {}, filled(words.mistaken, { label, answer })),
      element("ul", { class: "answers" }, ...answers.map((one) => {
        const bar = element("span", { class: "bar", "aria-hidden": "true" });
        bar.style.setProperty("--share", one.probability);
        return element("li", { class: one.name === label ? "true" : null }, element("b", {}, one.name), bar, element("span", { class: "number" }, page.percent(one.probability, 1)));
      }))));
    parts.mistakes.replaceChildren(
      element("h2", { id: "lab-mistakes" }, words.mistakes),
      element("p", { class: "quiet" }, words.mistakes_lead),
      element("label", { class: "row" }, element("span", {}, words.whose), element("select", {
        id: "lab-whose", onchange: async (event) => {
          page.state.set({ whose: event.target.value });
          parts.mistakes.setAttribute("aria-busy", "true");
          await this.drawMistakes(event.target.value);
          document.getElementById("lab-whose").focus();
        },
      }, ...found.experiments.map((each) => element("option", { value: each, selected: each === found.experiment }, each)))),
      element("p", {}, found.sentence),
      pictures.length ? element("ul", { class: "gallery" }, ...pictures) : element("p", { class: "quiet" }, words.no_mistakes),
    );
    parts.mistakes.removeAttribute("aria-busy");
    parts.mistakes.hidden = false;
  }

  async drawReport() {
    const { words, parts, page } = this;
    if (!this.progress?.done) return;
    const { written } = await page.api(this.address("/report/state"));
    const status = element("span", { class: "quiet", role: "status" });
    const row = element("div", { class: "row" });
    const write = element("button", { type: "button", id: "lab-write-report", onclick: async () => {
      write.disabled = true;
      status.textContent = words.writing;
      const done = await attempted(this.problem, () => page.api(this.address("/report"), { method: "POST" }));
      write.disabled = false;
      status.textContent = "";
      if (done) { await this.drawReport(); document.getElementById("lab-open-report")?.focus(); }
    } }, words.write_report);
    row.append(write);
    if (written) {
      const time = new Date(written).toLocaleString(page.language === "es" ? "es-419" : "en", { dateStyle: "medium", timeStyle: "short" });
      row.append(element("a", { class: "button primary", id: "lab-open-report", href: page.path(this.address("/report")), target: "_blank", rel: "noopener" }, words.open_report),
        element("span", { class: "quiet" }, filled(words.report_written, { time })));
    }
    row.append(status);
    parts.report.replaceChildren(element("h2", { id: "lab-report" }, words.report), element("p", { class: "quiet" }, words.report_lead), row);
    parts.report.hidden = false;
  }

  drawStart() {
    const { words, found, startCard } = this;
    const lab = element("select", { id: "start-lab", onchange: () => fill() }, ...found.labs.map(({ name }) => element("option", { value: name }, name)));
    const groups = element("fieldset", { class: "groups" });
    const seeds = element("input", { type: "number", id: "start-seeds", min: 1, max: found.most_seeds, step: 1, value: found.default_seeds, required: true, oninput: () => count() });
    const epochs = element("input", { type: "number", id: "start-epochs", min: 1, max: found.most_epochs, step: 1, required: true, oninput: () => count() });
    const runs = element("p", { class: "quiet", id: "start-runs" });
    const run = element("button", { class: "primary", id: "start-run" }, words.run);
    const chosen = () => found.labs.find(({ name }) => name === lab.value);
    const ticked = () => [...groups.querySelectorAll("input:checked")].map((box) => box.value);
    const count = () => {
      const experiments = 1 + ticked().reduce((sum, group) => sum + chosen().groups[group], 0);
      run.disabled = !ticked().length;
      runs.textContent = filled(words.runs, { count: this.page.number(experiments * (seeds.valueAsNumber || 0)), epochs: epochs.value });
    };
    const fill = () => {
      epochs.value = chosen().epochs;
      groups.replaceChildren(element("legend", {}, words.groups), ...Object.entries(chosen().groups).map(([group, size]) => element(
        "label", { class: "tick-box" }, element("input", { type: "checkbox", value: group, checked: true, onchange: () => count() }), `${group} (${size})`)),
      element("p", { class: "quiet" }, words.groups_hint));
      count();
    };
    const form = element("form", { onsubmit: async (event) => {
      event.preventDefault();
      const all = Object.keys(chosen().groups), groupsWanted = ticked();
      const order = { lab: lab.value, seeds: seeds.valueAsNumber, groups: groupsWanted.length === all.length ? [] : groupsWanted };
      if (epochs.valueAsNumber !== chosen().epochs) order.epochs = epochs.valueAsNumber;
      await this.start(order);
    } },
    element("div", { class: "row fields" },
      element("label", {}, element("span", {}, words.lab), lab),
      element("label", {}, element("span", {}, words.seeds), seeds),
      element("label", {}, element("span", {}, words.epochs), epochs)),
    groups, runs, run);
    startCard.replaceChildren(element("h2", { id: "lab-start" }, words.start), element("p", { class: "quiet" }, words.start_lead), form);
    fill();
  }
}

export async function mount(root, page) {
  const tab = new LabTab(root, page);
  await tab.arrive();
}
