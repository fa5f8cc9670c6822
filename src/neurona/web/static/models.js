/** The models on offer. Fires "change" when there are others, and "progress" while the first is trained. */
export class Models extends EventTarget {
  #api;
  #events;
  #offers = [];
  #networks = new Map();

  /** Progress of the model that is trained for lack of others: {number, epochs, val_accuracy}; null when none is. */
  training = null;

  constructor(api, events) {
    super();
    this.#api = api;
    this.#events = events;
  }

  /** Ask what is on offer: [{id, name, source}]. */
  async list() {
    const { models, training } = await this.#api("/api/models");
    this.#offers = models;
    if (training && !models.length && !this.training) this.#follow(training);
    return models;
  }

  /** What was on offer when last asked. */
  get offers() { return this.#offers; }

  /** The network with this id, computed in this page. */
  network(id) {
    if (!this.#networks.has(id)) {
      const asked = this.#fetch(id);
      asked.catch(() => this.#networks.delete(id));
      this.#networks.set(id, asked);
    }
    return this.#networks.get(id);
  }

  async #fetch(id) {
    const name = encodeURIComponent(id);
    const [{ Network }, description, weights] = await Promise.all([
      import("./drawing/network.js"),
      this.#api(`/api/models/${name}`),
      this.#api(`/api/models/${name}/weights`),
    ]);
    return Network.fromBuffer(description, weights);
  }

  #follow(job) {
    this.training = { number: 0, epochs: 0, val_accuracy: null };
    const tell = (name) => this.dispatchEvent(new Event(name));
    this.#events(`/api/jobs/${job}/events`, {
      epoch: (epoch) => { this.training = epoch; tell("progress"); },
      state: ({ state, error }) => { if (error) { this.training = { ...this.training, error }; tell("progress"); } },
      end: async () => { if (!this.training.error) { this.training = null; await this.list(); } tell("change"); },
    });
  }
}
