/**
 * The page around its tabs. A tab is a module of this folder that exports `async function mount(root, page)`; it is
 * fetched and mounted when its tab is first shown. `root` is its own section; it gets the events "show" and "hide" as
 * the reader comes and goes. `page` is:
 *
 *   words      the tab's sentences, in the reader's language
 *   language   "en" or "es"
 *   path(url)  the address of a file or endpoint of this server, in the reader's language
 *   api(path, {method, body, ...})   asks the API: JSON there and back (an ArrayBuffer where the answer is no JSON); a
 *              refusal is an Error whose message is a sentence for the reader, with `status` and `problems`
 *   events(path, {name: (values) => …})   follows server-sent events until `end`; returns a function that stops it
 *   state      what the address keeps: `get(key, otherwise)`, `set({key: value})`, `all()`; null forgets a key. It
 *              fires "change" when the reader goes back, forward, or to another address of this tab
 *   model      the models on offer: see models.js
 *   number(value, digits)   a number as the reader's language writes it
 *   percent(share, digits)
 */

import { Models } from "./models.js";

const config = JSON.parse(document.getElementById("config").textContent);
const content = document.getElementById("content");
const client = randomName();
const sections = new Map();  // tab -> its section, once it was shown
const states = new Map();

function randomName() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function path(url) {
  const address = new URL(url, location.origin);
  address.searchParams.set("lang", config.language);
  return address.pathname + address.search;
}

async function api(url, { method, body, headers = {}, signal, keepalive } = {}) {
  const options = { method: method ?? (body === undefined ? "GET" : "POST"), headers: { ...headers }, signal, keepalive };
  options.headers["x-neurona-client"] = client;
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body) || body instanceof Blob) {
    options.headers["content-type"] = "application/octet-stream";
    options.body = body;
  } else if (body !== undefined) {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path(url), options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(config.words.unreachable);
  }
  const kind = answer.headers.get("content-type") ?? "";
  if (answer.ok) {
    if (answer.status === 204) return null;
    return kind.startsWith("application/json") ? answer.json() : answer.arrayBuffer();
  }
  const problem = kind.includes("json") ? await answer.json().catch(() => ({})) : {};
  const error = new Error(problem.title ?? config.words.unreachable);
  error.status = answer.status;
  error.problems = problem.problems ?? [];
  throw error;
}

function events(url, handlers) {
  const source = new EventSource(path(url));
  for (const [name, handle] of Object.entries(handlers)) {
    if (name === "end" || name === "error") continue;
    source.addEventListener(name, (event) => handle(JSON.parse(event.data)));
  }
  source.addEventListener("end", () => { source.close(); handlers.end?.(); });
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) handlers.error?.(new Error(config.words.unreachable));
  });
  return () => source.close();
}

/** The address is `#TAB?key=value&…`. */
function inAddress() {
  const [name, query = ""] = location.hash.slice(1).split(/\?(.*)/s);
  return { name: name in config.tabs ? name : Object.keys(config.tabs)[0], query };
}

class State extends EventTarget {
  #tab;
  #values;

  constructor(tab, query) {
    super();
    this.#tab = tab;
    this.#values = new URLSearchParams(query);
  }

  get(key, otherwise = null) { return this.#values.get(key) ?? otherwise; }

  all() { return Object.fromEntries(this.#values); }

  set(changes) {
    for (const [key, value] of Object.entries(changes)) {
      if (value === null || value === undefined || value === "") this.#values.delete(key);
      else this.#values.set(key, String(value));
    }
    if (inAddress().name === this.#tab) history.replaceState(null, "", this.address);
  }

  /** Take what the address says now; tell those who listen if it says something new. */
  take(query) {
    if (query === this.query) return;
    this.#values = new URLSearchParams(query);
    this.dispatchEvent(new Event("change"));
  }

  get query() { return this.#values.toString(); }

  get address() { return `#${this.#tab}${this.query && `?${this.query}`}`; }
}

const models = new Models(api, events);

function pageOf(name, state) {
  const formats = new Map();
  const number = (value, digits = 0, style = "decimal") => {
    const key = `${digits} ${style}`;
    if (!formats.has(key)) {
      const options = { minimumFractionDigits: digits, maximumFractionDigits: digits, style };
      formats.set(key, new Intl.NumberFormat(config.language === "es" ? "es-419" : "en", options));
    }
    return formats.get(key).format(value);
  };
  return Object.freeze({
    words: config.tabs[name].words,
    language: config.language,
    path, api, events, state,
    model: models,
    number: (value, digits) => number(value, digits),
    percent: (share, digits = 0) => number(share, digits, "percent"),
  });
}

async function show() {
  const { name, query } = inAddress();
  for (const link of document.querySelectorAll("[data-tab]")) {
    if (link.dataset.tab === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${config.tabs[name].title} · ${config.words.title}`;
  for (const [other, section] of sections) {
    if (other !== name && !section.hidden) {
      section.hidden = true;
      section.dispatchEvent(new Event("hide"));
    }
  }
  const there = sections.get(name);
  if (there) {
    const wasHidden = there.hidden;
    there.hidden = false;
    if (query) states.get(name).take(query);
    history.replaceState(null, "", states.get(name).address);
    if (wasHidden) there.dispatchEvent(new Event("show"));
    return;
  }
  const section = document.createElement("section");
  section.className = `tab ${name}`;
  section.setAttribute("aria-label", config.tabs[name].title);
  section.setAttribute("aria-busy", "true");
  section.textContent = config.words.loading;
  content.append(section);
  sections.set(name, section);
  states.set(name, new State(name, query));
  try {
    const style = document.createElement("link");
    style.rel = "stylesheet";
    style.href = `/static/${name}.css`;
    const styled = new Promise((done) => { style.onload = style.onerror = done; });
    document.head.append(style);
    const [tab] = await Promise.all([import(`./${name}.js`), styled]);
    section.replaceChildren();
    await tab.mount(section, pageOf(name, states.get(name)));
    section.dataset.ready = "tab";
  } catch (error) {
    console.error(error);
    const sentence = document.createElement("p");
    sentence.className = "notice";
    sentence.setAttribute("role", "alert");
    sentence.textContent = config.words.not_loaded;
    section.replaceChildren(sentence);
  }
  section.removeAttribute("aria-busy");
}

document.getElementById("language").addEventListener("change", (event) => {
  const address = new URL(location.href);
  address.searchParams.set("lang", event.target.value);
  location.assign(address);
});

const theme = document.getElementById("theme");
theme.value = document.documentElement.dataset.theme ?? "";
theme.addEventListener("change", () => {
  if (theme.value) document.documentElement.dataset.theme = theme.value;
  else delete document.documentElement.dataset.theme;
  try {
    if (theme.value) localStorage.setItem("neurona-theme", theme.value);
    else localStorage.removeItem("neurona-theme");
  } catch { /* storage is forbidden: the choice lasts as long as the page */ }
  document.dispatchEvent(new Event("themechange"));
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("themechange")));

document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); content.focus(); });
addEventListener("hashchange", show);
await show();
document.documentElement.dataset.ready = "page";
