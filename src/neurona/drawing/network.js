// A dense network in the browser: its answer to an image, what its layers give, and the pixels that an answer rests on.
//
// The arithmetic is that of neurona/network.py and neurona/activations.py, with sums in double precision.

const EPSILON = 1e-3; // Keras' of both normalisations
const SELU_ALPHA = 1.6732632423543772, SELU_SCALE = 1.0507009873554805; // Klambauer et al. 2017, eq. 14
const LEAK = 0.2; // Keras' slope of leaky_relu
const GELU_TANH = Math.sqrt(2 / Math.PI), GELU_CUBIC = 0.044715; // Hendrycks & Gimpel 2016, section 2

const sigmoid = (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));
const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const density = (x) => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);

/** The normal distribution's Φ(x), to double precision near 0 and to 10⁻¹¹ of itself in the tails. */
function normal(x) {
  const size = Math.abs(x);
  if (size < 4) { // φ(x)·(x + x³/3 + x⁵/15 + …), Abramowitz & Stegun 1964, 26.2.11
    let term = x, sum = x;
    for (let k = 3; Math.abs(term) > 1e-17 * Math.abs(sum); k += 2) {
      term *= (x * x) / k;
      sum += term;
    }
    return 0.5 + density(x) * sum;
  }
  let fraction = size; // φ(x) / (x + 1/(x + 2/(x + 3/(x + …)))), the same, 26.2.14
  for (let k = 40; k >= 1; k -= 1) fraction = size + k / fraction;
  const tail = density(x) / fraction;
  return x > 0 ? 1 - tail : tail;
}

const bent = (x) => Math.tanh(GELU_TANH * (x + GELU_CUBIC * x * x * x));

// Each activation and its derivative, at the pre-activation x.
const ACTIVATIONS = {
  relu: [(x) => (x > 0 ? x : 0), (x) => (x > 0 ? 1 : 0)],
  leaky_relu: [(x) => (x >= 0 ? x : LEAK * x), (x) => (x >= 0 ? 1 : LEAK)],
  elu: [(x) => (x > 0 ? x : Math.expm1(x)), (x) => (x > 0 ? 1 : Math.exp(x))],
  selu: [
    (x) => SELU_SCALE * (x > 0 ? x : SELU_ALPHA * Math.expm1(x)),
    (x) => SELU_SCALE * (x > 0 ? 1 : SELU_ALPHA * Math.exp(x)),
  ],
  gelu: [(x) => x * normal(x), (x) => normal(x) + x * density(x)],
  gelu_tanh: [
    (x) => 0.5 * x * (1 + bent(x)),
    (x) => {
      const t = bent(x);
      return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * GELU_TANH * (1 + 3 * GELU_CUBIC * x * x);
    },
  ],
  silu: [(x) => x * sigmoid(x), (x) => sigmoid(x) * (1 + x * (1 - sigmoid(x)))],
  mish: [
    (x) => x * Math.tanh(softplus(x)),
    (x) => {
      const t = Math.tanh(softplus(x));
      return t + x * (1 - t * t) * sigmoid(x);
    },
  ],
  softplus: [softplus, sigmoid],
  tanh: [Math.tanh, (x) => 1 - Math.tanh(x) ** 2],
  sigmoid: [sigmoid, (x) => sigmoid(x) * (1 - sigmoid(x))],
  hard_sigmoid: [(x) => Math.min(Math.max(x / 6 + 0.5, 0), 1), (x) => (Math.abs(x) < 3 ? 1 / 6 : 0)],
  linear: [(x) => x, () => 1],
};

/**
 * Networks of one shape that answer by the mean of their probabilities.
 *
 * description: what `neurona.drawing.description` gives: `image_shape`, `class_names`, `hidden`, `activations`,
 *   `normalization`, `residual` and the number of `members`.
 * members: an array of layers for each network; a layer is `{inputs, units, kernel, bias, …}`, and its kernel lies in
 *   rows of units, one row an input.
 */
export class Network {
  /** Return the network whose weights are in `buffer`, as `neurona.drawing.weights` laid them out. */
  static fromBuffer(description, buffer) {
    const [height, width] = description.image_shape;
    const normalised = { batch: ["gamma", "beta", "moving_mean", "moving_variance"], layer: ["gamma", "beta"] };
    const sizes = [height * width, ...description.hidden, description.class_names.length];
    let place = 0;
    const take = (count) => {
      const end = place + 4 * count;
      if (end > buffer.byteLength) throw new RangeError(`the weights end at ${buffer.byteLength} bytes, not at ${end}`);
      const found = new Float32Array(buffer, place, count);
      place = end;
      return found;
    };
    const members = Array.from({ length: description.members }, () => sizes.slice(1).map((units, index) => {
      const inputs = sizes[index];
      const layer = { inputs, units, kernel: take(inputs * units), bias: take(units) };
      const names = index < description.hidden.length ? normalised[description.normalization] ?? [] : [];
      for (const name of names) layer[name] = take(units);
      return layer;
    }));
    if (place !== buffer.byteLength) throw new RangeError(`the weights have ${buffer.byteLength} bytes, not ${place}`);
    return new Network(description, members);
  }

  constructor(description, members) {
    for (const name of description.activations) {
      if (!Object.hasOwn(ACTIVATIONS, name)) throw new TypeError(`there is no activation ${name}`);
    }
    this.imageShape = description.image_shape;
    this.classNames = description.class_names;
    this.members = members;
    this.activations = description.activations;
    this.normalization = description.normalization;
    this.residual = description.residual;
    this.pixels = this.imageShape[0] * this.imageShape[1];
  }

  /** Return the probability of each class for `pixels`, 0 to 255, row by row: the mean over members. */
  probabilities(pixels) {
    const input = this.#input(pixels);
    const total = new Float64Array(this.classNames.length);
    for (const member of this.members) {
      softmax(this.#forward(member, input).scores).forEach((share, index) => { total[index] += share; });
    }
    return Float32Array.from(total, (sum) => sum / this.members.length);
  }

  /** Return what each layer of one member gives: of hidden layers what the next one takes, then the probabilities. */
  layers(pixels, member = 0) {
    const { traces, scores } = this.#forward(this.members[member], this.#input(pixels));
    return [...traces.map((trace) => trace.output), Float32Array.from(softmax(scores))];
  }

  /**
   * Return each pixel times the derivative of the score of a class by it, the mean over members.
   *
   * The score is what the last layer gives before softmax. Source: Shrikumar et al. (2017), section 2.
   */
  saliency(pixels, classIndex) {
    const input = this.#input(pixels);
    const total = new Float64Array(this.pixels);
    for (const member of this.members) {
      const gradient = this.#backward(member, this.#forward(member, input), classIndex, input);
      for (let i = 0; i < total.length; i += 1) total[i] += gradient[i] * input[i];
    }
    return Float32Array.from(total, (sum) => sum / this.members.length);
  }

  #input(pixels) {
    if (pixels.length !== this.pixels) throw new RangeError(`an image has ${this.pixels} pixels, not ${pixels.length}`);
    return Float32Array.from(pixels, (pixel) => pixel / 255);
  }

  /** Return the scores, and of each hidden layer what `#backward` needs. */
  #forward(member, input) {
    const traces = [];
    let x = input;
    for (let index = 0; index < this.activations.length; index += 1) {
      const layer = member[index];
      const trace = normalise(this.normalization, layer, dense(layer, x));
      const [activation] = ACTIVATIONS[this.activations[index]];
      const output = Float32Array.from(trace.before, activation);
      trace.added = this.residual && index > 0 && x.length === output.length;
      if (trace.added) for (let j = 0; j < output.length; j += 1) output[j] += x[j];
      trace.output = output;
      traces.push(trace);
      x = output;
    }
    return { traces, scores: dense(member.at(-1), x) };
  }

  /** Return the derivative of a score by each input that is not 0; by the others, which nobody asks for, it is left 0. */
  #backward(member, { traces }, classIndex, input) {
    const last = member.at(-1);
    const chosen = new Float64Array(last.units);
    chosen[classIndex] = 1;
    const slopes = traces.map(({ before }, index) => before.map(ACTIVATIONS[this.activations[index]][1]));
    // Where an activation has no slope, its unit's gradient is not needed, unless a residual connection goes past it.
    const asked = [input, ...slopes.map((slope, index) => (traces[index].added ? slope.map(() => 1) : slope))];
    let gradient = throughDense(last, chosen, asked.at(-1));
    for (let index = traces.length - 1; index >= 0; index -= 1) {
      const past = gradient;
      const delta = slopes[index].map((slope, j) => slope * past[j]);
      throughNormalisation(this.normalization, member[index], traces[index], delta);
      gradient = throughDense(member[index], delta, asked[index]);
      if (traces[index].added) for (let j = 0; j < gradient.length; j += 1) gradient[j] += past[j];
    }
    return gradient;
  }
}

/** Return x times the kernel plus the bias. Inputs that are 0, most of an image, cost nothing. */
function dense({ units, kernel, bias }, x) {
  const sums = Float64Array.from(bias);
  const { rows, count } = notZero(x);
  for (let k = 0; k < count; k += 4) { // four rows at a time: a sum is read and written once for four products
    const [a, b, c, d] = [rows[k] * units, rows[k + 1] * units, rows[k + 2] * units, rows[k + 3] * units];
    const p = x[rows[k]], left = count - k;
    const q = left > 1 ? x[rows[k + 1]] : 0, r = left > 2 ? x[rows[k + 2]] : 0, s = left > 3 ? x[rows[k + 3]] : 0;
    for (let j = 0; j < units; j += 1) {
      sums[j] += p * kernel[a + j] + q * kernel[b + j] + r * kernel[c + j] + s * kernel[d + j];
    }
  }
  return sums;
}

/** Return the gradient by a layer's inputs of what has the gradient `delta` by its outputs; 0 where `asked` is. */
function throughDense({ units, kernel }, delta, asked) {
  const gradient = new Float64Array(asked.length);
  const { rows, count } = notZero(asked);
  for (let k = 0; k < count; k += 4) {
    const [a, b, c, d] = [rows[k] * units, rows[k + 1] * units, rows[k + 2] * units, rows[k + 3] * units];
    let p = 0, q = 0, r = 0, s = 0;
    for (let j = 0; j < units; j += 1) {
      const slope = delta[j];
      p += slope * kernel[a + j];
      q += slope * kernel[b + j];
      r += slope * kernel[c + j];
      s += slope * kernel[d + j];
    }
    [p, q, r, s].slice(0, count - k).forEach((sum, offset) => { gradient[rows[k + offset]] = sum; });
  }
  return gradient;
}

/** Return the indices of the values that are not 0, and their count; behind them three more that may be read. */
function notZero(x) {
  const rows = new Int32Array(x.length + 3);
  let count = 0;
  for (let i = 0; i < x.length; i += 1) if (x[i] !== 0) rows[count++] = i;
  return { rows, count };
}

/** Return `{before}`, what enters the activation, and what the way back through layer normalisation needs. */
function normalise(kind, layer, sums) {
  if (kind === null) return { before: sums };
  const { gamma, beta } = layer;
  if (kind === "batch") {
    const { moving_mean: mean, moving_variance: variance } = layer;
    return { before: sums.map((z, j) => ((z - mean[j]) / Math.sqrt(variance[j] + EPSILON)) * gamma[j] + beta[j]) };
  }
  const mean = sums.reduce((total, z) => total + z, 0) / sums.length;
  const variance = sums.reduce((total, z) => total + (z - mean) ** 2, 0) / sums.length;
  const deviation = Math.sqrt(variance + EPSILON);
  const standard = sums.map((z) => (z - mean) / deviation);
  return { before: standard.map((n, j) => n * gamma[j] + beta[j]), standard, deviation };
}

/** Turn `delta`, the gradient by what a normalisation gives, into that by what it takes. */
function throughNormalisation(kind, layer, { standard, deviation }, delta) {
  if (kind === null) return;
  const { gamma } = layer;
  if (kind === "batch") {
    for (let j = 0; j < delta.length; j += 1) delta[j] *= gamma[j] / Math.sqrt(layer.moving_variance[j] + EPSILON);
    return;
  }
  let mean = 0, along = 0; // of the gradient by the standard values: what their mean and variance take away
  for (let j = 0; j < delta.length; j += 1) {
    delta[j] *= gamma[j];
    mean += delta[j] / delta.length;
    along += (delta[j] * standard[j]) / delta.length;
  }
  for (let j = 0; j < delta.length; j += 1) delta[j] = (delta[j] - mean - standard[j] * along) / deviation;
}

function softmax(scores) {
  const most = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const shares = scores.map((score) => Math.exp(score - most));
  const total = shares.reduce((sum, share) => sum + share, 0);
  return shares.map((share) => share / total);
}
