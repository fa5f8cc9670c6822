// A board to draw on, by mouse, finger, pen or keyboard.

const INK = 280; // pixels each way of what `ink` returns: ten for each pixel of MNIST
const STEP = 1 / 28, SMALL_STEP = 1 / 112; // of the keyboard's pen, as shares of the board
const NEAR = 0.002; // a point so near the last one adds nothing
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * A drawing on a square canvas: strokes of points from (0, 0), top left, to (1, 1).
 *
 * Fires `change` when the ink has changed, and `pen`, with `detail.down`, when the keyboard's pen is put down or lifted.
 * The ink has the colour of the canvas' text, the keyboard's pen that of its `--cursor`.
 */
export class Board extends EventTarget {
  #canvas;
  #strokes = []; // each an array of [x, y, width]
  #past = []; // what the strokes were before each change that can be undone
  #stroke = null; // the one under way
  #pointer = null; // the id of the pointer that draws it
  #cursor = { x: 0.5, y: 0.5, shown: false };
  #held = new Set(); // keys
  #drawnWhileHeld = false;
  #end = new AbortController();
  #resized = new ResizeObserver(() => this.repaint());
  #ink = null;

  /**
   * canvas: square; its size on the screen is the style sheet's.
   * words: what `neurona.drawing.words` gives.
   * brush: the width of a stroke, as a share of the board.
   */
  constructor(canvas, { words, brush = 0.08 }) {
    super();
    this.#canvas = canvas;
    this.brush = brush;
    this.words = words;
    Object.assign(canvas, { tabIndex: 0, role: "application" });
    canvas.style.touchAction = "none"; // a finger draws, and does not scroll
    const on = (target, type, react) => target.addEventListener(type, react, { signal: this.#end.signal });
    on(canvas, "pointerdown", (event) => this.#press(event));
    on(canvas, "pointermove", (event) => this.#drag(event));
    for (const type of ["pointerup", "pointercancel"]) on(canvas, type, (event) => this.#release(event));
    on(canvas, "keydown", (event) => this.#keyDown(event));
    on(canvas, "keyup", (event) => this.#keyUp(event));
    on(canvas, "focus", () => this.#showCursor(canvas.matches(":focus-visible")));
    on(canvas, "blur", () => this.#leave());
    on(matchMedia("(prefers-color-scheme: dark)"), "change", () => this.repaint());
    this.#resized.observe(canvas);
    this.#watchPixels();
  }

  /** Say what the board is in other words. */
  set words(words) {
    this.#canvas.setAttribute("aria-label", words.board);
    this.#canvas.setAttribute("aria-roledescription", words.board_kind);
  }

  /** The drawing: arrays of points [x, y]. Set, its lines have the width of the brush, and it can be undone. */
  get strokes() {
    return this.#strokes.map((stroke) => stroke.map(([x, y]) => [x, y]));
  }

  set strokes(strokes) {
    this.#lift();
    this.#become(strokes.map((stroke) => stroke.map(([x, y]) => [x, y, this.brush])));
  }

  /** Whether a stroke is under way. */
  get drawing() {
    return this.#stroke !== null;
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  /** Take back the last stroke, or the last time that the board was cleared or its strokes were set. */
  undo() {
    this.#lift();
    if (!this.canUndo) return;
    this.#strokes = this.#past.pop();
    this.#changed();
  }

  clear() {
    this.#lift();
    if (this.#strokes.length > 0) this.#become([]);
  }

  /** Return `{data, height, width}`: the ink, 0 to 255, row by row; the same whatever the size of the screen. */
  ink() {
    if (this.#ink === null) {
      const canvas = Object.assign(document.createElement("canvas"), { width: INK, height: INK });
      const context = canvas.getContext("2d", { willReadFrequently: true });
      for (const stroke of this.#strokes) draw(context, stroke, INK);
      const { data } = context.getImageData(0, 0, INK, INK);
      this.#ink = Uint8Array.from({ length: INK * INK }, (_, index) => data[4 * index + 3]); // opacity
    }
    return { data: this.#ink, height: INK, width: INK };
  }

  /** Draw it all again: for a canvas whose colours have changed. */
  repaint() {
    const canvas = this.#canvas, side = Math.round(canvas.clientWidth * devicePixelRatio);
    if (side === 0) return; // not on the screen
    if (canvas.width !== side || canvas.height !== side) Object.assign(canvas, { width: side, height: side });
    const context = canvas.getContext("2d"), style = getComputedStyle(canvas);
    context.clearRect(0, 0, side, side);
    context.strokeStyle = context.fillStyle = style.color;
    for (const stroke of this.#strokes) draw(context, stroke, side);
    if (this.#cursor.shown) this.#paintCursor(context, side, style.getPropertyValue("--cursor") || style.color);
  }

  /** Let go of the canvas: nothing that happens to it is drawn any more. */
  close() {
    this.#end.abort();
    this.#resized.disconnect();
  }

  /** Draw it all again when a point of the page has another number of pixels: zoomed, or on another screen. */
  #watchPixels() {
    const query = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
    query.addEventListener("change", () => {
      this.repaint();
      this.#watchPixels();
    }, { once: true, signal: this.#end.signal });
  }

  #become(strokes) {
    this.#past.push(this.#strokes);
    this.#strokes = strokes;
    this.#changed();
  }

  #changed() {
    this.#ink = null;
    this.repaint();
    this.dispatchEvent(new Event("change"));
  }

  #begin(x, y, width) {
    this.#stroke = [[x, y, width]];
    this.#become([...this.#strokes, this.#stroke]);
  }

  #add(x, y, width) {
    const [lastX, lastY] = this.#stroke.at(-1);
    if (Math.hypot(x - lastX, y - lastY) < NEAR) return false;
    this.#stroke.push([x, y, width]);
    return true;
  }

  /** End the stroke, if one is under way. */
  #lift() {
    if (this.#stroke === null) return;
    const byKey = this.#pointer === null;
    this.#stroke = this.#pointer = null;
    this.repaint();
    if (byKey) this.dispatchEvent(new CustomEvent("pen", { detail: { down: false } }));
    this.dispatchEvent(new Event("change")); // what waits for a whole stroke looks at `drawing`
  }

  // By pointer

  #place(event) {
    const { left, top } = this.#canvas.getBoundingClientRect();
    const { clientLeft, clientTop, clientWidth, clientHeight } = this.#canvas; // inside its border
    const x = (event.clientX - left - clientLeft) / clientWidth, y = (event.clientY - top - clientTop) / clientHeight;
    const firm = event.pointerType === "pen" && event.pressure > 0 ? 0.5 + event.pressure : 1;
    return [x, y, this.brush * firm];
  }

  #press(event) {
    if (event.button !== 0 || this.#pointer !== null) return; // another button, or a second finger
    this.#lift();
    this.#showCursor(false);
    this.#pointer = event.pointerId;
    try {
      this.#canvas.setPointerCapture(event.pointerId); // the stroke goes on outside the canvas
    } catch {
      // a pointer that a script made up cannot be captured
    }
    this.#begin(...this.#place(event));
  }

  #drag(event) {
    if (event.pointerId !== this.#pointer || this.#stroke === null) return;
    const places = event.getCoalescedEvents?.() ?? [];
    const added = (places.length > 0 ? places : [event]).map((place) => this.#add(...this.#place(place)));
    if (added.includes(true)) this.#changed();
  }

  #release(event) {
    if (event.pointerId === this.#pointer) this.#lift();
  }

  // By keyboard

  #keyDown(event) {
    if (event.key === "z" && (event.ctrlKey || event.metaKey)) this.undo();
    else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else if (Object.hasOwn(ARROWS, event.key)) this.#step(event);
    else if (event.key === " ") this.#space(event);
    else if (event.key === "Delete" || event.key === "Backspace") this.clear();
    else if (event.key === "Escape") this.#lift();
    else return;
    event.preventDefault();
  }

  #keyUp(event) {
    this.#held.delete(event.key);
    if (event.key === " " && this.#drawnWhileHeld) this.#lift(); // held while it drew: let go, it is lifted
  }

  /** Move the pen by all arrows that are held. */
  #step(event) {
    this.#held.add(event.key);
    const size = event.shiftKey ? SMALL_STEP : STEP;
    for (const key of this.#held) {
      const [right, down] = ARROWS[key] ?? [0, 0];
      this.#cursor.x = Math.min(Math.max(this.#cursor.x + right * size, 0), 1);
      this.#cursor.y = Math.min(Math.max(this.#cursor.y + down * size, 0), 1);
    }
    this.#cursor.shown = true;
    this.#drawnWhileHeld ||= this.#held.has(" ");
    if (this.#pointer === null && this.#stroke && this.#add(this.#cursor.x, this.#cursor.y, this.brush)) this.#changed();
    else this.repaint();
  }

  /** Put the pen down, or lift it. */
  #space(event) {
    if (event.repeat || this.#pointer !== null) return;
    this.#held.add(" ");
    this.#drawnWhileHeld = false;
    this.#cursor.shown = true;
    if (this.#stroke !== null) {
      this.#lift();
      return;
    }
    this.#begin(this.#cursor.x, this.#cursor.y, this.brush);
    this.dispatchEvent(new CustomEvent("pen", { detail: { down: true } }));
  }

  #leave() {
    this.#held.clear();
    if (this.#pointer === null) this.#lift();
    this.#showCursor(false);
  }

  #showCursor(shown) {
    this.#cursor.shown = shown;
    this.repaint();
  }

  #paintCursor(context, side, colour) {
    const x = this.#cursor.x * side, y = this.#cursor.y * side, radius = (this.brush / 2) * side;
    context.save();
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = Math.max(2 * devicePixelRatio, 1);
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    if (this.#stroke !== null) context.fill(); // the pen is down
    for (const [right, down] of Object.values(ARROWS)) {
      context.moveTo(x + right * radius * 1.3, y + down * radius * 1.3);
      context.lineTo(x + right * radius * 2, y + down * radius * 2);
    }
    context.stroke();
    context.restore();
  }
}

/** Draw a stroke on a square of `side` pixels: a curve that is smooth at the middles between points, or a dot. */
function draw(context, stroke, side) {
  context.lineCap = context.lineJoin = "round";
  const points = stroke.map(([x, y, width]) => [x * side, y * side, width * side]);
  const [[x, y, width]] = points;
  if (points.length === 1) {
    context.beginPath();
    context.arc(x, y, width / 2, 0, 2 * Math.PI);
    context.fill();
    return;
  }
  let thickness = width;
  context.beginPath();
  context.moveTo(x, y);
  for (let index = 1; index < points.length; index += 1) {
    const [controlX, controlY] = points[index - 1], [nextX, nextY, nextWidth] = points[index];
    const middleX = (controlX + nextX) / 2, middleY = (controlY + nextY) / 2;
    context.quadraticCurveTo(controlX, controlY, middleX, middleY);
    if (nextWidth !== thickness) { // a pen's pressure: a path has one width
      context.lineWidth = thickness;
      context.stroke();
      context.beginPath();
      context.moveTo(middleX, middleY);
      thickness = nextWidth;
    }
  }
  context.lineTo(...points.at(-1).slice(0, 2));
  context.lineWidth = thickness;
  context.stroke();
}
