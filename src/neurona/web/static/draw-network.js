/** The network drawn layer by layer: what each unit gives, and the strongest ways from the pixels to an answer. */

import { colour, crisp } from "./element.js";

const CELLS = 64; // units of a layer up to which each is a cell of its own; wider layers are one strip of all of them
const TO_ANSWER = 8, TO_UNIT = 3, TO_FIRST = 4; // lines that are drawn into a class, a unit, and a unit of the first layer
const MOST_LINES = 60; // between two layers

/**
 * Return the strongest ways into the score of a class, from the last layer back: for each pair of layers an array of
 * {from, to, value}, value being what `from` gives times the weight between them. Where a residual connection adds what
 * a unit's neighbour to the left gives, that is a line too, `added`, and its value what was added.
 */
export function strongest(network, pixels, layers, classIndex) {
  const member = network.members[0];
  const outputs = [Float32Array.from(pixels, (pixel) => pixel / 255), ...layers.slice(0, -1)];
  const steps = [];
  let units = [classIndex];
  for (let index = member.length - 1; index >= 0; index -= 1) {
    const { kernel, units: width } = member[index], given = outputs[index];
    const most = index === member.length - 1 ? TO_ANSWER : index === 0 ? TO_FIRST : TO_UNIT;
    let lines = units.flatMap((to) => {
      const found = [];
      for (let from = 0; from < given.length; from += 1) {
        if (given[from] === 0) continue;
        const value = given[from] * kernel[from * width + to];
        if (found.length === most && Math.abs(value) <= Math.abs(found[most - 1].value)) continue;
        found.push({ from, to, value });
        found.sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
        found.length = Math.min(found.length, most);
      }
      return found;
    });
    if (network.residual && index > 0 && index < member.length - 1 && given.length === width) {
      lines.push(...units.filter((to) => given[to] !== 0).map((to) => ({ from: to, to, value: given[to], added: true })));
    }
    lines = lines.sort((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, MOST_LINES);
    steps.unshift(lines);
    units = [...new Set(lines.map(({ from }) => from))];
  }
  return steps;
}

/** Draw it on `canvas`. labels: what stands below each column, pixels first. */
export function drawNetwork(canvas, network, pixels, classIndex, labels) {
  const { context, width, height } = crisp(canvas);
  if (width === 0) return null;
  const ink = { text: colour("text"), quiet: colour("quiet"), sunk: colour("sunk"), pro: colour("for"), contra: colour("against"), paper: colour("paper"), accent: colour("accent") };
  const layers = pixels ? network.layers(pixels) : null;
  const steps = layers ? strongest(network, pixels, layers, classIndex) : [];
  const narrow = width < 520;
  const side = Math.min(narrow ? 84 : 150, width * 0.24), foot = 44, top = 8, bottom = height - foot;
  const columns = network.activations.length + 1;
  const outputs = width - (narrow ? 34 : 64);
  const start = side + (narrow ? 20 : 50);
  const across = (index) => (columns === 1 ? outputs : start + ((outputs - start) * (index + 0.35)) / (columns - 0.65));
  const x = (index) => (index === columns - 1 ? outputs : across(index));
  const pixelAt = (index) => {
    const cell = side / 28, left = 0, up = (top + bottom - side) / 2;
    return [left + (index % 28 + 0.5) * cell, up + (Math.floor(index / 28) + 0.5) * cell];
  };
  const unitAt = (layer, index) => {
    const count = layer === columns - 1 ? network.classNames.length : network.members[0][layer].units;
    const space = Math.min((bottom - top) / count, layer === columns - 1 ? 34 : 22);
    return [x(layer), (top + bottom) / 2 + (index - (count - 1) / 2) * space];
  };

  // The ways, weak ones first.
  context.lineCap = "round";
  steps.forEach((lines, layer) => {
    const most = lines.reduce((found, { value }) => Math.max(found, Math.abs(value)), 1e-9);
    for (const { from, to, value, added } of [...lines].reverse()) {
      const [x1, y1] = layer === 0 ? pixelAt(from) : unitAt(layer - 1, from), [x2, y2] = unitAt(layer, to);
      const share = Math.abs(value) / most, bend = (x2 - x1) * 0.45;
      context.globalAlpha = 0.12 + 0.75 * share;
      context.strokeStyle = value > 0 ? ink.pro : ink.contra;
      context.lineWidth = 0.6 + 2.2 * share;
      context.setLineDash(added ? [1, 5] : []);
      context.beginPath();
      context.moveTo(x1, y1);
      context.bezierCurveTo(x1 + bend, y1, x2 - bend, y2, x2, y2);
      context.stroke();
    }
  });
  context.globalAlpha = 1;
  context.setLineDash([]);

  // The pixels.
  const up = (top + bottom - side) / 2, cell = side / 28;
  context.fillStyle = "#000000";
  context.beginPath();
  context.roundRect(0, up, side, side, 8);
  context.fill();
  if (pixels) {
    context.fillStyle = "#ffffff";
    for (let i = 0; i < 784; i += 1) {
      if (pixels[i] === 0) continue;
      context.globalAlpha = pixels[i] / 255;
      context.fillRect((i % 28) * cell, up + Math.floor(i / 28) * cell, cell + 0.3, cell + 0.3);
    }
    context.globalAlpha = 1;
    const lines = steps[0] ?? [];
    for (const { from, value } of lines) {
      const [px, py] = pixelAt(from);
      context.fillStyle = value > 0 ? ink.pro : ink.contra;
      context.beginPath();
      context.arc(px, py, Math.max(1.6, cell * 0.42), 0, 2 * Math.PI);
      context.fill();
    }
  }

  // The hidden layers.
  const active = [];
  for (let layer = 0; layer < columns - 1; layer += 1) {
    const count = network.members[0][layer].units, given = layers?.[layer];
    const most = given ? given.reduce((found, value) => Math.max(found, Math.abs(value)), 1e-9) : 1;
    const used = new Set([...(steps[layer] ?? []).map(({ to }) => to), ...(steps[layer + 1] ?? []).map(({ from }) => from)]);
    if (given) active.push(given.reduce((found, value) => found + (Math.abs(value) > 0.01 * most), 0));
    const cell = (index, tall, wide) => {
      const [cx, cy] = unitAt(layer, index), value = given ? given[index] / most : 0;
      context.beginPath();
      context.roundRect(cx - wide / 2, cy - tall / 2, wide, tall, Math.min(tall, wide) / 2);
      context.globalAlpha = 1;
      context.fillStyle = ink.sunk;
      context.fill();
      context.fillStyle = value >= 0 ? ink.pro : ink.contra;
      context.globalAlpha = Math.min(1, Math.abs(value));
      context.fill();
      context.globalAlpha = 1;
      if (!used.has(index)) return;
      context.lineWidth = 1.4;
      context.strokeStyle = ink.text;
      context.stroke();
    };
    if (count <= CELLS) {
      const tall = Math.min(16, Math.max(3, ((bottom - top) / count) * 0.72)), wide = narrow ? 12 : 20;
      for (let index = 0; index < count; index += 1) cell(index, tall, Math.max(tall, wide));
    } else {
      const rows = Math.floor(bottom - top), strip = narrow ? 10 : 16;
      context.fillStyle = ink.sunk;
      context.fillRect(x(layer) - strip / 2, top, strip, rows);
      for (let row = 0; given && row < rows; row += 1) {
        const first = Math.floor((row * count) / rows), last = Math.max(first + 1, Math.floor(((row + 1) * count) / rows));
        let strong = 0;
        for (let index = first; index < last; index += 1) if (Math.abs(given[index]) > Math.abs(strong)) strong = given[index];
        context.fillStyle = strong >= 0 ? ink.pro : ink.contra;
        context.globalAlpha = Math.abs(strong) / most;
        context.fillRect(x(layer) - strip / 2, top + row, strip, 1);
      }
      context.globalAlpha = 1;
      for (const index of used) cell(index, 7, narrow ? 12 : 20);
    }
  }

  // The classes.
  const shares = layers?.at(-1);
  context.textBaseline = "middle";
  network.classNames.forEach((name, index) => {
    if (network.classNames.length > 24 && index !== classIndex) return;
    const [cx, cy] = unitAt(columns - 1, index), share = shares?.[index] ?? 0;
    context.beginPath();
    context.arc(cx, cy, 7, 0, 2 * Math.PI);
    context.fillStyle = ink.paper;
    context.fill();
    context.fillStyle = ink.accent;
    context.globalAlpha = share;
    context.fill();
    context.globalAlpha = 1;
    context.lineWidth = index === classIndex && pixels ? 2 : 1;
    context.strokeStyle = index === classIndex && pixels ? ink.text : ink.quiet;
    context.stroke();
    context.fillStyle = index === classIndex && pixels ? ink.text : ink.quiet;
    context.font = `${index === classIndex && pixels ? 700 : 400} 14px system-ui, sans-serif`;
    context.textAlign = "left";
    context.fillText(name.slice(0, 7), cx + 13, cy);
  });

  // What is what.
  context.font = `${narrow ? 11 : 12.5}px system-ui, sans-serif`;
  context.fillStyle = ink.quiet;
  labels.forEach((lines, index) => {
    const at = index === 0 ? side / 2 : x(index - 1);
    context.textAlign = "center";
    lines.forEach((line, row) => {
      const half = context.measureText(line).width / 2;
      context.fillText(line, Math.min(Math.max(at, half + 1), width - half - 1), bottom + 16 + row * 15);
    });
  });
  return active;
}
