/** The same run elsewhere: a link, a command, Python, a lab; and what a link fixes. */

import { element, filled, unique } from "./element.js";

const KINDS = ["link", "command", "python", "toml"];

export class ShareView {
  #page;
  #kind = "link";
  #texts = {};
  #lab = "";
  #buttons;
  #text = element("pre", { tabIndex: 0 }, element("code", {}));
  #note = element("p", { class: "quiet" });
  #said = element("span", { class: "quiet", role: "status" });
  #locks;

  /** onLocking(on): the reader wants to choose what is fixed, or no longer; null where somebody else has fixed things. */
  constructor(page, onLocking) {
    this.#page = page;
    const { words } = page;
    this.#buttons = KINDS.map((kind) => element("button", {
      type: "button", "data-kind": kind, "aria-pressed": "false", onclick: () => { this.#kind = kind; this.#draw(); },
    }, words[`as_${kind}`]));
    const heading = element("h2", { id: unique("share") }, words.share);
    this.#text.setAttribute("aria-label", words.share);
    const check = element("input", { type: "checkbox", id: unique("locks"), onchange: () => onLocking(check.checked) });
    this.#locks = element("p", { class: "locks" }, check, " ", element("label", { for: check.id }, words.locks));
    this.element = element("section", { class: "card share", "aria-labelledby": heading.id }, heading,
      element("p", { class: "quiet" }, words.share_lead),
      element("div", { class: "row kinds" }, ...this.#buttons),
      this.#text, this.#note,
      element("div", { class: "row" }, element("button", { type: "button", "data-role": "copy", onclick: () => this.#copy() }, words.copy), this.#said),
      this.#locks);
    this.#draw();
  }

  /** Whether somebody else has fixed what is fixed: then nothing can be fixed here. */
  set given(given) { this.#locks.hidden = given; }

  /** Show what `written` has, and the page's address. */
  show(written, link) {
    this.#texts = { link, command: written?.command ?? "", python: written?.python ?? "", toml: written?.toml ?? "" };
    this.#lab = written?.lab ?? "";
    this.#draw();
  }

  #draw() {
    for (const button of this.#buttons) button.setAttribute("aria-pressed", String(button.dataset.kind === this.#kind));
    this.#text.firstChild.textContent = this.#texts[this.#kind] ?? "";
    this.#text.className = this.#kind;
    this.#note.hidden = this.#kind !== "toml";
    this.#note.textContent = filled(this.#page.words.toml_note, { command: this.#lab });
    this.#said.textContent = "";
  }

  async #copy() {
    const { words } = this.#page;
    try {
      await navigator.clipboard.writeText(this.#texts[this.#kind]);
      this.#said.textContent = words.copied;
    } catch {
      getSelection().selectAllChildren(this.#text);
      this.#said.textContent = words.not_copied;
    }
  }
}
