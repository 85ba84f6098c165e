// The page that measures: from pixels to painted pixels on a canvas, as the live camera does it but for the camera itself.
import { Painter, threads } from "./painter.js";

const SIZES = [[256, 192], [256, 256], [384, 288], [384, 384], [512, 512]];
const WARM = 3;
const SECONDS = 3;

const $ = (id) => document.getElementById(id);
const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

/** A picture with soft and sharp parts, and another one for each frame. */
function draw(width, height, number) {
  const sky = context.createLinearGradient(0, 0, width, height);
  sky.addColorStop(0, "#7fb4d8");
  sky.addColorStop(1, "#e8c9a0");
  context.fillStyle = sky;
  context.fillRect(0, 0, width, height);
  for (let i = 0; i < 40; i++) {
    context.fillStyle = `hsl(${(i * 47) % 360} 55% ${25 + ((i * 13) % 50)}%)`;
    context.fillRect((i * 71 + 3 * number) % width, (i * 37) % height, 6 + ((i * 7) % 30), 4 + ((i * 11) % 40));
  }
  return context.getImageData(0, 0, width, height);
}

/** Frames a second with two frames on their way, as in the app; and the median of what one takes in the worker. */
async function measure(painter, filter, [width, height], seconds) {
  Object.assign(context.canvas, { width, height });
  let count = 0;
  const times = [];
  for (let i = 0; i < WARM; i++) await painter.paint(filter, draw(width, height, i));
  const begun = performance.now();
  const lane = async () => {
    while (performance.now() - begun < 1000 * seconds) {
      const { image, ms } = await painter.paint(filter, draw(width, height, count));
      context.putImageData(image, 0, 0);
      times.push(ms);
      count++;
    }
  };
  await Promise.all([lane(), lane()]);
  const fps = (1000 * count) / (performance.now() - begun);
  return { fps, ms: times.sort((a, b) => a - b)[times.length >> 1] };
}

/** The ways to paint that this browser has: [runtime, threads]. */
function ways() {
  const most = threads();
  return [["webgpu", 1], ...(most > 1 ? [["wasm", most]] : []), ["wasm", 1]];
}

/** Measure each way at each size, with a filter's files as the app uses them; `told` hears of every figure. */
export async function measureAll({ file, live, sizes = SIZES, seconds = SECONDS, chosen = ways(), told = () => {} }) {
  const found = [];
  for (const [runtime, count] of chosen) {
    const painter = new Painter();
    try {
      await painter.start({ runtime, threads: count });
      for (const size of sizes) {
        const row = { runtime, threads: count, size, ...(await measure(painter, runtime === "wasm" ? live : file, size, seconds)) };
        found.push(row);
        told(row);
      }
    } catch (error) {
      if (runtime !== "webgpu") throw error; // most browsers have one way or the other
    } finally {
      painter.stop();
    }
  }
  return found;
}

function line({ runtime, threads: count, size, fps, ms }) {
  const way = runtime === "webgpu" ? "WebGPU" : `WebAssembly, ${count} thread${count > 1 ? "s" : ""}`;
  const row = $("rows").insertRow();
  row.append(Object.assign(document.createElement("th"), { scope: "row", textContent: way }));
  for (const text of [`${size[0]} × ${size[1]}`, fps.toFixed(1), ms.toFixed(1)]) row.insertCell().textContent = text;
  document.querySelector("table").hidden = false;
}

$("device").textContent = `${navigator.userAgent}\n${navigator.hardwareConcurrency} cores, threads ${crossOriginIsolated ? "allowed" : "not allowed"}`;
$("run").onclick = async () => {
  $("run").disabled = true;
  $("rows").replaceChildren();
  $("note").textContent = "Measuring: please leave this page open.";
  try {
    const about = await (await fetch("app.json")).json();
    const [{ file, live }] = about.filters;
    const rows = await measureAll({ file, live, told: line });
    const text = JSON.stringify({ impasto: about.impasto, live, device: $("device").textContent, rows }, null, 1);
    $("note").textContent = "Done.";
    $("copy").hidden = false;
    $("copy").onclick = () => navigator.clipboard.writeText(text).then(() => ($("note").textContent = "Copied."));
  } catch (error) {
    $("note").textContent = error.message;
  }
  $("run").disabled = false;
};
