// The painter: a network in a worker, so that the page stays light on its feet while it paints.

/** Threads that painting may use here: 1 without SharedArrayBuffer, else most of the cores, four at most. */
export function threads() {
  const cores = navigator.hardwareConcurrency || 1;
  return globalThis.crossOriginIsolated ? Math.min(4, cores > 2 ? cores - 1 : cores) : 1;
}

/** Width and height with a long edge of `size` px, or the picture's own if that is less: multiples of 8, as the network works. */
export function fitted(width, height, size) {
  const scale = Math.min(1, size / Math.max(width, height));
  const side = (length) => Math.max(32, Math.round((length * scale) / 8) * 8);
  return [side(width), side(height)];
}

export class Painter {
  #worker = new Worker(new URL("painter-worker.js", import.meta.url), { type: "module" });
  #waiting = new Map();
  #asked = 0;

  constructor() {
    this.#worker.onmessage = ({ data }) => {
      const { done, failed, progress } = this.#waiting.get(data.id) ?? {};
      if (!done) return; // it was told to have failed
      if (data.progress !== undefined) return progress?.(data.progress);
      this.#waiting.delete(data.id);
      if (data.error) failed(new Error(data.error));
      else done(data.result);
    };
    this.#worker.onerror = (event) => {
      for (const { failed } of this.#waiting.values()) failed(new Error(event.message || "the painter could not be started"));
      this.#waiting.clear();
    };
  }

  #ask(task, values, { transfer = [], progress } = {}) {
    const id = ++this.#asked;
    return new Promise((done, failed) => {
      this.#waiting.set(id, { done, failed, progress });
      this.#worker.postMessage({ id, task, ...values }, transfer);
    });
  }

  /** Load the runtime: "webgpu", "wasm", or "auto", which takes the first of these that works. Tells which one it is. */
  start({ runtime = "auto", threads: count = threads(), progress } = {}) {
    return this.#ask("start", { runtime, threads: count }, { progress });
  }

  /** Load a filter, so that the first picture in it comes at once. */
  load(filter, { progress } = {}) {
    return this.#ask("load", { filter }, { progress });
  }

  /** Paint an ImageData. Gives { image, ms }: a new ImageData of the same size, and how long it took in the worker. */
  async paint(filter, image, strength = 1) {
    const { width, height, data } = image;
    const { pixels, ms } = await this.#ask("paint", { filter, width, height, strength, pixels: data.buffer }, { transfer: [data.buffer] });
    return { image: new ImageData(new Uint8ClampedArray(pixels), width, height), ms };
  }

  /** Paint 3 x height x width numbers in [0, 1], as the network sees them: nothing is rounded to 8 bits. */
  paintNumbers(filter, numbers, width, height, strength = 1) {
    return this.#ask("numbers", { filter, numbers, width, height, strength });
  }

  stop() {
    this.#worker.terminate();
  }
}
