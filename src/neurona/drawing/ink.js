// A drawing brought to the size and place that MNIST's digits have: the same as neurona.pictures.normalised, to the last
// bit. Every sum is of whole numbers below 2^53, so it is exact in any order.

const SIDE = 28;
const INK = 20; // pixels of the longest side of the ink

// ink: Uint8Array of height × width, row by row, bright on 0. Returns {pixels: Uint8Array(784), box: [top, left, bottom,
// right]}, bottom and right excluded, in pixels of the drawing; null where there is no ink.
export function asNetworkSees(ink, height, width) {
  const box = inkBox(ink, height, width);
  if (box === null) return null;
  const small = brightened(averaged(ink, width, box));
  return { pixels: placed(small), box };
}

function inkBox(ink, height, width) {
  let top = height, left = width, bottom = 0, right = 0;
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      if (ink[row * width + column] === 0) continue;
      if (row < top) top = row;
      if (row >= bottom) bottom = row + 1;
      if (column < left) left = column;
      if (column >= right) right = column + 1;
    }
  }
  return bottom === 0 ? null : [top, left, bottom, right];
}

// INK × INK sums over equal areas of the smallest square around the box, which stands in its middle. Lengths are in units
// of 1 / (square · INK) of the square, whole numbers.
function averaged(ink, width, [top, left, bottom, right]) {
  const square = Math.max(bottom - top, right - left);
  const down = overlaps(bottom - top, square);
  const across = overlaps(right - left, square);
  const sums = new Float64Array(INK * INK);
  const line = new Float64Array(INK);
  for (let row = top; row < bottom; row++) {
    line.fill(0);
    for (let column = left; column < right; column++) {
      const value = ink[row * width + column];
      if (value === 0) continue;
      for (const [cell, length] of across[column - left]) line[cell] += length * value;
    }
    for (const [cell, length] of down[row - top]) {
      for (let column = 0; column < INK; column++) sums[cell * INK + column] += length * line[column];
    }
  }
  return sums;
}

// For each of the pixels, the cells that it touches and how much of it falls into each.
function overlaps(pixels, square) {
  const before = Math.floor((square - pixels) / 2);
  return Array.from({ length: pixels }, (_, pixel) => {
    const start = (pixel + before) * INK;
    const parts = [];
    for (let cell = Math.floor(start / square); cell < INK && cell * square < start + INK; cell++) {
      const length = Math.min((cell + 1) * square, start + INK) - Math.max(cell * square, start);
      if (length > 0) parts.push([cell, length]);
    }
    return parts;
  });
}

// The largest sum becomes 255; halves are rounded up.
function brightened(sums) {
  const most = sums.reduce((one, other) => Math.max(one, other));
  return sums.map((sum) => Math.floor((510 * sum + most) / (2 * most)));
}

// Shifted by whole pixels, the centre of mass comes into (13.5, 14.5], but no ink is pushed out.
function placed(small) {
  const rows = new Float64Array(INK);
  const columns = new Float64Array(INK);
  small.forEach((value, index) => {
    rows[Math.floor(index / INK)] += value;
    columns[index % INK] += value;
  });
  const down = shift(rows);
  const across = shift(columns);
  const pixels = new Uint8Array(SIDE * SIDE);
  small.forEach((value, index) => {
    if (value > 0) pixels[(Math.floor(index / INK) + down) * SIDE + (index % INK) + across] = value;
  });
  return pixels;
}

function shift(line) {
  const first = line.findIndex((value) => value > 0);
  const last = line.findLastIndex((value) => value > 0);
  const total = line.reduce((one, other) => one + other);
  const moment = line.reduce((sum, value, index) => sum + index * value, 0);
  const wanted = Math.floor(((SIDE + 1) * total - 2 * moment) / (2 * total));
  return Math.min(Math.max(wanted, -first), SIDE - 1 - last);
}
