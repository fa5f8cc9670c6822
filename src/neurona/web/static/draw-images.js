/** Images of 28 × 28 pixels: other looks at a drawing, and changes of it. */

const SIDE = 28;

/** The whole drawing squeezed into 28 × 28 pixels, wherever its ink is. */
export function wholeBoard({ data, height, width }) {
  return averaged(data, width, 0, 0, Math.max(height, width));
}

/** The smallest square around the ink, enlarged until it fills the image. box: [top, left, bottom, right]. */
export function boxOnly({ data, width }, [top, left, bottom, right]) {
  const square = Math.max(bottom - top, right - left);
  const startRow = top - Math.floor((square - (bottom - top)) / 2);
  const startColumn = left - Math.floor((square - (right - left)) / 2);
  return averaged(data, width, startRow, startColumn, square);
}

/** Means over equal areas of a square of `size` pixels that begins at `top` and `left`, which may be outside. */
function averaged(data, width, top, left, size) {
  const height = data.length / width, step = size / SIDE, means = new Uint8Array(SIDE * SIDE);
  for (let row = 0; row < SIDE; row += 1) {
    const firstRow = top + row * step, lastRow = firstRow + step;
    for (let column = 0; column < SIDE; column += 1) {
      const firstColumn = left + column * step, lastColumn = firstColumn + step;
      let sum = 0;
      for (let y = Math.floor(firstRow); y < lastRow; y += 1) {
        if (y < 0 || y >= height) continue;
        const tall = Math.min(y + 1, lastRow) - Math.max(y, firstRow);
        for (let x = Math.floor(firstColumn); x < lastColumn; x += 1) {
          const value = x < 0 || x >= width ? 0 : data[y * width + x];
          if (value !== 0) sum += value * tall * (Math.min(x + 1, lastColumn) - Math.max(x, firstColumn));
        }
      }
      means[row * SIDE + column] = Math.round(sum / (step * step));
    }
  }
  return means;
}

/**
 * The image moved by pixels, turned by degrees and enlarged about its middle, with bilinear interpolation; and its
 * strokes made thicker or thinner as Neurona's augmentation does: at 1 a pixel takes the brightest, at -1 the darkest
 * of its 3 × 3 neighbours, between them a mix.
 */
export function varied(pixels, { right = 0, down = 0, rotation = 0, scale = 1, thickness = 0 }) {
  const thick = thickness === 0 ? pixels : thickened(pixels, thickness);
  if (right === 0 && down === 0 && rotation === 0 && scale === 1) return thick;
  const angle = (rotation * Math.PI) / 180, middle = (SIDE - 1) / 2;
  const [cos, sin] = [Math.cos(angle) / scale, Math.sin(angle) / scale];
  const at = (row, column) => (row < 0 || column < 0 || row >= SIDE || column >= SIDE ? 0 : thick[row * SIDE + column]);
  const found = new Uint8Array(SIDE * SIDE);
  for (let row = 0; row < SIDE; row += 1) {
    for (let column = 0; column < SIDE; column += 1) {
      const [y, x] = [row - middle - down, column - middle - right];
      const [fromRow, fromColumn] = [middle + cos * y - sin * x, middle + sin * y + cos * x];
      const [top, left] = [Math.floor(fromRow), Math.floor(fromColumn)];
      const [below, beside] = [fromRow - top, fromColumn - left];
      found[row * SIDE + column] = Math.round(
        (1 - below) * ((1 - beside) * at(top, left) + beside * at(top, left + 1))
        + below * ((1 - beside) * at(top + 1, left) + beside * at(top + 1, left + 1)),
      );
    }
  }
  return found;
}

function thickened(pixels, amount) {
  const choose = amount > 0 ? Math.max : Math.min, share = Math.abs(amount);
  return pixels.map((pixel, index) => {
    const [row, column] = [Math.floor(index / SIDE), index % SIDE];
    let extreme = pixel;
    for (let y = row - 1; y <= row + 1; y += 1) {
      for (let x = column - 1; x <= column + 1; x += 1) {
        extreme = choose(extreme, y < 0 || x < 0 || y >= SIDE || x >= SIDE ? 0 : pixels[y * SIDE + x]);
      }
    }
    return Math.round((1 - share) * pixel + share * extreme);
  });
}

/**
 * A picture as ink of `side` × `side` pixels, bright on 0: what differs from its edge, by more than the edge from itself.
 * So dark on light and light on dark are the same, and paper that is not quite even is no ink.
 */
export function inkOf(picture, side) {
  const canvas = new OffscreenCanvas(side, side), context = canvas.getContext("2d", { willReadFrequently: true });
  const scale = Math.min(side / picture.width, side / picture.height);
  const [width, height] = [picture.width * scale, picture.height * scale];
  const [left, top] = [(side - width) / 2, (side - height) / 2];
  context.imageSmoothingEnabled = scale < 1 || !Number.isInteger(scale);
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, left, top, width, height);
  const { data } = context.getImageData(0, 0, side, side);
  const grey = Float32Array.from({ length: side * side }, (_, i) => 0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2]);
  const inside = (i) => data[4 * i + 3] > 250;
  const edge = [];
  const [firstRow, firstColumn] = [Math.ceil(top), Math.ceil(left)];
  const [lastRow, lastColumn] = [Math.floor(top + height) - 1, Math.floor(left + width) - 1];
  for (let x = firstColumn; x <= lastColumn; x += 1) edge.push(firstRow * side + x, lastRow * side + x);
  for (let y = firstRow; y <= lastRow; y += 1) edge.push(y * side + firstColumn, y * side + lastColumn);
  const shown = edge.filter(inside).map((i) => grey[i]);
  shown.sort((a, b) => a - b);
  const ground = shown.length ? shown[Math.floor(shown.length / 2)] : 0;
  const spread = shown.length ? Math.max(ground - shown[Math.floor(shown.length / 10)], shown[Math.floor(shown.length * 0.9)] - ground) : 0;
  const noise = Math.min(3 * spread, 90);
  const sign = ground > 127 ? -1 : 1;
  const over = grey.map((value, i) => (inside(i) ? Math.max(0, sign * (value - ground) - noise) : 0));
  const most = over.reduce((a, b) => Math.max(a, b), 0);
  if (most < 8) return null;
  return Uint8Array.from(over, (value) => Math.round((255 * value) / most));
}

/** Strokes as a short text for an address, and back: points on a grid of 256. */
export function written(strokes) {
  const bytes = [];
  for (const stroke of strokes) {
    const points = stroke.map(([x, y]) => [byte(x), byte(y)]);
    const kept = points.filter(([x, y], i) => i === 0 || x !== points[i - 1][0] || y !== points[i - 1][1]);
    for (let start = 0; start < kept.length; start += 254) {
      const part = kept.slice(Math.max(0, start - 1), start + 254);
      bytes.push(part.length, ...part.flat());
    }
  }
  const text = btoa(String.fromCharCode(...bytes.slice(0, 6000)));
  return text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

export function read(text) {
  let bytes;
  try {
    bytes = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    return [];
  }
  const strokes = [];
  for (let at = 0; at < bytes.length;) {
    const count = bytes.charCodeAt(at), stroke = [];
    for (let i = 0; i < count && at + 2 * i + 2 < bytes.length; i += 1) {
      stroke.push([bytes.charCodeAt(at + 2 * i + 1) / 255, bytes.charCodeAt(at + 2 * i + 2) / 255]);
    }
    if (stroke.length) strokes.push(stroke);
    at += 1 + 2 * count;
  }
  return strokes;
}

const byte = (share) => Math.round(255 * Math.min(Math.max(share, 0), 1));
