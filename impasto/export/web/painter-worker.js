// The worker: ONNX Runtime Web, the filters that were loaded, and pixels to numbers and back.
import { kept } from "./keep.js";

const KINDS = {
  webgpu: { script: "./runtime/ort.jspi.min.mjs", stem: "runtime/ort-wasm-simd-threaded.jspi" },
  wasm: { script: "./runtime/ort.wasm.min.mjs", stem: "runtime/ort-wasm-simd-threaded" },
};
const MOST_SESSIONS = 4; // two filters, each in 8 bits and in float; one of them holds some 20 MB

let ort;
let kind;
const sessions = new Map();

/** Whether there is a graphics processor that this runtime can use; one that is emulated is slower than WebAssembly. */
async function hasGPU(emulated) {
  if (!navigator.gpu || !("Suspending" in WebAssembly)) return false;
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  return Boolean(adapter) && (emulated || !(adapter.info?.isFallbackAdapter || /swiftshader/i.test(adapter.info?.architecture)));
}

async function start({ runtime, threads }, progress) {
  const wanted = runtime === "auto" ? ["webgpu", "wasm"] : [runtime];
  let reason = "WebGPU is not here";
  for (const name of wanted) {
    if (name === "webgpu" && !(await hasGPU(runtime === "webgpu"))) continue;
    try {
      await open(name, threads, progress);
      return { runtime: name, threads: name === "wasm" ? threads : 1 };
    } catch (error) {
      reason = error.message;
    }
  }
  throw new Error(`the painter could not be started: ${reason}`);
}

async function open(name, threads, progress) {
  const { script, stem } = KINDS[name];
  const binary = await kept(`${stem}.wasm`, progress);
  ort = await import(script);
  ort.env.wasm.wasmPaths = { mjs: new URL(`${stem}.mjs`, import.meta.url).href };
  ort.env.wasm.wasmBinary = binary;
  ort.env.wasm.numThreads = name === "wasm" ? threads : 1;
  ort.env.logLevel = "error";
  kind = name;
  if (name === "webgpu") ort.env.webgpu.powerPreference = "high-performance";
}

async function session(filter, progress) {
  let found = sessions.get(filter);
  if (!found) {
    found = kept(filter, progress).then((bytes) => ort.InferenceSession.create(bytes, { executionProviders: [kind] }));
    found.catch(() => sessions.delete(filter));
  }
  sessions.delete(filter); // and in again: the map is in the order of last use
  sessions.set(filter, found);
  const ready = await found;
  for (const [name, old] of [...sessions].slice(0, -MOST_SESSIONS)) {
    sessions.delete(name);
    old.then((unused) => unused.release(), () => {});
  }
  return ready;
}

async function run({ filter, width, height, strength }, numbers) {
  const net = await session(filter);
  const content = new ort.Tensor("float32", numbers, [1, 3, height, width]);
  const found = await net.run({ content, strength: new ort.Tensor("float32", [strength], []) });
  const painted = found[net.outputNames[0]];
  const data = await painted.getData();
  painted.dispose();
  return data;
}

async function paint(asked) {
  const begun = performance.now();
  const pixels = new Uint8ClampedArray(asked.pixels);
  const size = asked.width * asked.height;
  const numbers = new Float32Array(3 * size);
  for (let i = 0, j = 0; i < size; i++, j += 4) {
    numbers[i] = pixels[j] / 255;
    numbers[size + i] = pixels[j + 1] / 255;
    numbers[2 * size + i] = pixels[j + 2] / 255;
  }
  const painted = await run(asked, numbers);
  for (let i = 0, j = 0; i < size; i++, j += 4) {
    pixels[j] = painted[i] * 255; // the array rounds and clamps
    pixels[j + 1] = painted[size + i] * 255;
    pixels[j + 2] = painted[2 * size + i] * 255;
  }
  return { pixels: pixels.buffer, ms: performance.now() - begun };
}

const TASKS = {
  start,
  load: async ({ filter }, progress) => void (await session(filter, progress)),
  paint,
  numbers: (asked) => run(asked, asked.numbers),
};

// one task after the other: a session runs one picture at a time
let last = Promise.resolve();
onmessage = ({ data }) => {
  last = last.then(async () => {
    const progress = (share) => postMessage({ id: data.id, progress: share });
    try {
      const result = await TASKS[data.task](data, progress);
      postMessage({ id: data.id, result }, data.task === "paint" ? [result.pixels] : []);
    } catch (error) {
      postMessage({ id: data.id, error: error?.message || String(error) });
    }
  });
};
