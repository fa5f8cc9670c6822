// The page: what is drawn goes through the network, a frame at a time, and its answer is shown and said.

import { Board } from "./board.js";
import { asNetworkSees } from "./ink.js";
import { Network } from "./network.js";

const SURE = 0.7; // a probability from here on is an answer; below it the runner-up is named too
const SHOWN = 12; // classes; of more only the likeliest are shown
const LOCALES = { en: "en", es: "es-419" };

const { model, words, facts } = JSON.parse(document.getElementById("data").textContent);
const [height, width] = model.image_shape;
const at = (id) => document.getElementById(id);
const element = (tag, className, text = "") => Object.assign(document.createElement(tag), { className, textContent: text });
const fill = (text, values) => text.replaceAll(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

let language = navigator.languages.map((name) => name.slice(0, 2)).find((name) => name in words) ?? "en";
let network, board, seen = null, answer = null, waiting = false;
const said = (key, values = {}) => fill(words[language][key], values);
const perCent = (value) => value.toLocaleString(LOCALES[language], { style: "percent", minimumFractionDigits: 1 });
/** A probability in words; one that is not quite 1 is not said to be. */
const share = (value) => (value < 1 && value >= 0.9995 ? `>${perCent(0.999)}` : perCent(value));

/** Return the weights, which stand in the page as base64, piece by piece; the page stays alive in between. */
async function weights() {
  const pieces = [];
  for (const holder of document.querySelectorAll(".weights")) {
    pieces.push(decoded(holder.textContent));
    holder.remove();
    await new Promise((resolve) => { setTimeout(resolve); });
  }
  return new Blob(pieces).arrayBuffer();
}

function decoded(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const letters = atob(text), bytes = new Uint8Array(letters.length);
  for (let index = 0; index < bytes.length; index += 1) bytes[index] = letters.charCodeAt(index);
  return bytes;
}

/** Return the image that the network takes of the ink, null of none; of another size than MNIST's by equal areas. */
function image({ data, height: rows, width: columns }) {
  const found = asNetworkSees(data, rows, columns);
  if (found === null || (height === 28 && width === 28)) return found?.pixels ?? null;
  const reach = (index, size) => [(index * 28) / size, ((index + 1) * 28) / size];
  const overlap = ([low, high], cell) => Math.max(Math.min(high, cell + 1) - Math.max(low, cell), 0);
  const weightsOf = (size) => Array.from({ length: size }, (_, index) =>
    Array.from({ length: 28 }, (_cell, cell) => (overlap(reach(index, size), cell) * size) / 28));
  const down = weightsOf(height), across = weightsOf(width);
  return Uint8Array.from({ length: height * width }, (_, index) => {
    const row = down[Math.floor(index / width)], column = across[index % width];
    let sum = 0;
    row.forEach((part, y) => {
      if (part > 0) column.forEach((other, x) => { sum += part * other * found.pixels[28 * y + x]; });
    });
    return Math.round(sum);
  });
}

/** Answer once a frame, however often the drawing changes in it. */
function changed() {
  at("undo").disabled = !board.canUndo;
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    seen = image(board.ink());
    answer = seen && network.probabilities(seen);
    show();
  });
}

/** The classes by probability, the likeliest first: [index, probability]. */
const ranked = () => [...answer].map((value, index) => [index, value]).sort((a, b) => b[1] - a[1]);

function values() {
  const [[first, value], [next, nextValue] = [first, 0]] = ranked();
  const names = model.class_names;
  return { name: names[first], share: share(value), next: names[next], next_share: share(nextValue), first, value };
}

function show() {
  at("hint").hidden = at("clear").disabled = board.strokes.length > 0;
  at("clear").disabled = board.strokes.length === 0;
  at("why").disabled = seen === null;
  const found = answer && values();
  at("verdict").replaceChildren(...(found ? verdict(found) : [element("span", "", said("nothing"))]));
  showBars(found);
  showImage(found);
  if (!board.drawing) at("spoken").textContent = found ? said(found.value < SURE ? "spoken_unsure" : "spoken", found) : "";
}

function verdict(found) {
  const parts = [element("span", found.name.length > 2 ? "name long" : "name", found.name), element("span", "share", found.share)];
  return found.value < SURE ? [...parts, element("span", "unsure", said("unsure", found))] : parts;
}

function showBars(found) {
  const bars = at("bars");
  const many = model.class_names.length > SHOWN;
  const order = found && many ? ranked().slice(0, SHOWN).map(([index]) => index) : model.class_names.map((_, index) => index).slice(0, SHOWN);
  while (bars.children.length < order.length) {
    const row = element("li", "");
    row.append(element("span", "name"), element("span", "track"), element("span", "share"));
    row.children[1].append(element("span", "fill"));
    row.children[1].ariaHidden = "true";
    bars.append(row);
  }
  order.forEach((index, place) => {
    const row = bars.children[place], [name, track, number] = row.children, value = answer ? answer[index] : 0;
    name.textContent = name.title = model.class_names[index];
    number.textContent = answer ? share(value) : "–";
    track.firstChild.style.setProperty("--share", value);
    row.className = found?.first === index ? "first" : "";
  });
}

/** Draw what the network sees; when asked why, in colour what speaks for its answer and what against it. */
function showImage(found) {
  const canvas = at("pixels"), why = at("why").ariaPressed === "true" && found !== null;
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d"), picture = context.createImageData(width, height);
  const slopes = why ? network.saliency(seen, found.first) : null;
  const most = why ? slopes.reduce((top, value) => Math.max(top, Math.abs(value)), 1e-12) : 1;
  const style = getComputedStyle(canvas), colours = { 1: rgb(style.getPropertyValue("--for")), "-1": rgb(style.getPropertyValue("--against")) };
  for (let index = 0; index < width * height; index += 1) {
    const grey = (seen?.[index] ?? 0) * (why ? 0.3 : 1);
    const strength = why ? Math.sqrt(Math.abs(slopes[index]) / most) : 0;
    const colour = colours[Math.sign(slopes?.[index] || 1)];
    for (let part = 0; part < 3; part += 1) picture.data[4 * index + part] = grey * (1 - strength) + colour[part] * strength;
    picture.data[4 * index + 3] = 255;
  }
  context.putImageData(picture, 0, 0);
  canvas.setAttribute("aria-label", why ? said("seen_why", found) : said("seen_image", { width, height }));
  at("legend").hidden = !why;
  if (why) at("for").textContent = said("speaks_for", found);
}

const rgb = (hex) => [1, 3, 5].map((start) => parseInt(hex.trim().slice(start, start + 2), 16));

function speak(name) {
  language = name;
  document.documentElement.lang = name;
  document.title = said("title");
  for (const place of document.querySelectorAll("[data-word]")) place.textContent = said(place.dataset.word);
  const button = at("language"), other = Object.keys(words).find((one) => one !== name);
  Object.assign(button, { lang: other, hidden: false, textContent: said("other_language") });
  at("facts").replaceChildren(...facts[name].flatMap(([title, value]) => [element("dt", "", title), element("dd", "", value)]));
  if (board) {
    board.words = words[name];
    show();
  }
}

async function start() {
  at("state").hidden = false;
  at("state").textContent = said("waiting");
  speak(language);
  try {
    network = Network.fromBuffer(model, await weights());
  } catch (error) {
    at("state").textContent = said("broken");
    throw error;
  }
  at("state").hidden = true;
  at("main").hidden = false;
  board = new Board(at("board"), { words: words[language], brush: at("brush").valueAsNumber / 100 });
  board.addEventListener("change", changed);
  board.addEventListener("pen", ({ detail }) => { at("spoken").textContent = said(detail.down ? "pen_down" : "pen_up"); });
  at("undo").addEventListener("click", () => board.undo());
  at("clear").addEventListener("click", () => board.clear());
  at("brush").addEventListener("input", (event) => { board.brush = event.target.valueAsNumber / 100; });
  at("why").addEventListener("click", () => {
    at("why").ariaPressed = String(at("why").ariaPressed !== "true");
    show();
  });
  at("language").addEventListener("click", () => speak(at("language").lang));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  changed();
  window.neurona = { network, board }; // for whoever wants to look closer, by the browser's console
  document.documentElement.dataset.drawn = "all";
}

start();
