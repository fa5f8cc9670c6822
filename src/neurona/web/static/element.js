/** Return an element: `on…` are listeners, `data` its data attributes, true and false set or leave out an attribute. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(made.dataset, value);
    else if (name === "value") made.value = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Return an element of an SVG. */
export function drawn(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== undefined) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

let counted = 0;

/** Return a name that no other element of the page has. */
export function unique(prefix) {
  counted += 1;
  return `${prefix}-${counted}`;
}

/** Return what `work` promises; null when it fails, and `problem`, an element, says why. */
export async function attempted(problem, work) {
  problem.hidden = true;
  try {
    return await work();
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
    return null;
  }
}

/** Return `sentence` with `{name}` replaced by the value called so. */
export function filled(sentence, values) {
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
}

/** Return a colour of the style sheet, as it is now. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Return a context whose canvas has the pixels of the screen, and its size in CSS pixels. */
export function crisp(canvas) {
  const width = canvas.clientWidth, height = canvas.clientHeight, scale = devicePixelRatio || 1;
  const [across, down] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== across || canvas.height !== down) Object.assign(canvas, { width: across, height: down });
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/** Return the bytes of a base64 text. */
export function fromBase64(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** Draw an image of `side` × `side` pixels, bright on black, on a canvas of that size. */
export function paintPixels(canvas, pixels, side = 28) {
  if (canvas.width !== side) Object.assign(canvas, { width: side, height: side });
  const image = new ImageData(side, side);
  for (let i = 0; i < side * side; i += 1) {
    image.data.fill(pixels ? pixels[i] : 0, 4 * i, 4 * i + 3);
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** Return a canvas with an image of 28 × 28 pixels; `label` says what it is to who does not see it. */
export function thumbnail(pixels, label = "") {
  const canvas = element("canvas", { class: "pixels", ...(label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" }) });
  paintPixels(canvas, pixels);
  return canvas;
}
