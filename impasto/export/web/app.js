// The app. It is in one of four states: "start"; "live", the camera painted; "still", a picture; "clip", a recording.
import { Camera } from "./camera.js";
import { keepAll, offline } from "./keep.js";
import { Pace } from "./pace.js";
import { fitted, Painter } from "./painter.js";
import { Recorder, canShare, picture as pictureFile, save, share } from "./result.js";

const STILL = 1280; // long edge of a still picture, px
const DRAFT = 384; // and while the slider moves
const LANES = 2; // frames on their way at once: the page takes the next one while the worker paints

const $ = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search);
const canvas = $("picture");
const screen = canvas.getContext("2d");
const hand = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const camera = new Camera($("camera"), (error) => stopLive(error));
const painter = new Painter();

let about; // app.json: the filters, and all the files there are
let filter; // the one that is painted in: its entry in app.json
let runtime; // "webgpu" or "wasm"
let source = null; // what a still is painted from: an ImageBitmap
let clip = null; // the recorded File
let recorder = null;
let home = "start"; // where "back" leads: "start" or "live"
let awake = null; // keeps the screen on while the camera is painted
let run = 0; // grows when what is painted changes, so that late frames are dropped
let finishing = Promise.resolve(); // the still that is being painted
const pace = new Pace();

// ---- words for people

let quiet;
function say(text, seconds = 4) {
  clearTimeout(quiet);
  $("note").textContent = text;
  if (seconds) quiet = setTimeout(() => ($("note").textContent = ""), 1000 * seconds);
}

/** Do something that may fail, and say so if it does. */
function attempt(action) {
  return async (...values) => {
    try {
      await action(...values);
    } catch (error) {
      say(error.message, 8);
    }
  };
}

function show(state) {
  document.documentElement.dataset.state = state;
  if (state !== "live") $("rate").textContent = "";
}

/** The file that a live picture is painted with: 8 bits are quicker without a graphics processor. */
const quick = (entry) => (runtime === "wasm" ? entry.live : entry.file);
const strength = () => Number($("strength").value) / 100;
const name = () => `impasto-${filter.name}-${new Date().toISOString().slice(0, 19).replace(/\D/g, "")}`;

// ---- painting

/** Pixels of the camera or of a bitmap, drawn at a size that the network can paint. */
function pixels(draw, [width, height], size) {
  const [w, h] = fitted(width, height, size);
  if (hand.canvas.width !== w || hand.canvas.height !== h) Object.assign(hand.canvas, { width: w, height: h });
  draw(hand, w, h);
  return hand.getImageData(0, 0, w, h);
}

function hang(image) {
  if (canvas.width !== image.width || canvas.height !== image.height) Object.assign(canvas, { width: image.width, height: image.height });
  screen.putImageData(image, 0, 0);
}

const draw = (context, width, height) => camera.draw(context, width, height);

/** Paint frame after frame for as long as this run lasts. */
async function lane(mine, told) {
  while (mine === run) {
    await camera.frame();
    if (mine !== run || !camera.size[0]) continue;
    const size = Number(asked.get("size")) || (recorder ? Math.max(canvas.width, canvas.height) : pace.size);
    const { image, ms } = await painter.paint(quick(filter), pixels(draw, camera.size, size), strength());
    if (mine !== run) return;
    hang(image);
    pace.took(ms);
    told(image);
  }
}

function live() {
  const mine = ++run;
  let count = 0;
  let since = performance.now();
  const told = (image) => {
    count++;
    const passed = performance.now() - since;
    if (passed < 1000) return;
    $("rate").textContent = `${Math.round((1000 * count) / passed)} fps · ${Math.max(image.width, image.height)} px`;
    [count, since] = [0, performance.now()];
  };
  home = "live";
  show(home);
  canvas.setAttribute("aria-busy", "false");
  $("shutter").focus({ preventScroll: true });
  navigator.wakeLock?.request("screen").then((lock) => (mine === run ? (awake = lock) : lock.release()), () => {});
  for (let i = 0; i < LANES; i++) lane(mine, told).catch((error) => mine === run && stopLive(error));
}

async function stopLive(error) {
  run++;
  if (recorder) await record(); // what was recorded is kept
  else {
    leave();
    show("start");
  }
  home = "start";
  say(error.message, 8);
}

/** Paint the still: small at once, and large when nothing has changed for a moment. */
function still(wait = 0) {
  finishing = paintStill(wait, ++run);
  return finishing;
}

async function paintStill(wait, mine) {
  const whole = (context, width, height) => {
    context.fillStyle = "#fff"; // behind what is transparent
    context.fillRect(0, 0, width, height);
    context.drawImage(source, 0, 0, width, height);
  };
  canvas.setAttribute("aria-busy", "true");
  for (const [size, file] of [[DRAFT, quick(filter)], [STILL, filter.file]]) {
    if (size === STILL) await new Promise((done) => setTimeout(done, wait));
    if (mine !== run) return;
    const { image } = await painter.paint(file, pixels(whole, [source.width, source.height], size), strength());
    if (mine !== run) return;
    hang(image);
    show("still");
  }
  canvas.setAttribute("aria-busy", "false");
}

/** Something about the painting changed. A live picture sees it by itself. */
const change = attempt((wait) => (document.documentElement.dataset.state === "still" ? still(wait) : undefined));

let wanted;
async function choose(entry) {
  const label = $(`filter-${entry.name}`).parentElement;
  wanted = entry;
  label.classList.add("waiting");
  try {
    await painter.load(quick(entry));
  } catch (error) {
    if (filter && wanted === entry) $(`filter-${filter.name}`).checked = true;
    throw error;
  } finally {
    label.classList.remove("waiting");
  }
  if (wanted !== entry) return; // another was chosen meanwhile
  filter = entry;
  localStorage.setItem("filter", entry.name);
  canvas.setAttribute("aria-label", `The painted picture, in the style of ${entry.title}`);
  if (document.documentElement.dataset.state === "start") $("sample").src = entry.thumb;
  await change(0);
}

// ---- from state to state

function leave() {
  run++;
  camera.stop();
  awake?.release();
  awake = null;
}

async function look() {
  say("");
  if (!(await camera.start())) return;
  source?.close();
  source = null;
  live();
}

async function paintFile(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    throw new Error(`${file.name || "This"} is not a picture that this browser can read: try a JPEG or PNG.`);
  }
  leave();
  source?.close();
  source = bitmap;
  await showStill();
}

async function showStill() {
  await still();
  if (document.documentElement.dataset.state !== "still") return; // the visitor went back meanwhile
  offerSharing(new File([], "impasto.jpg", { type: "image/jpeg" }));
  $("save").focus({ preventScroll: true });
}

async function take() {
  const [width, height] = camera.size;
  const shot = Object.assign(document.createElement("canvas"), { width, height });
  camera.draw(shot.getContext("2d"), width, height);
  leave();
  source = await createImageBitmap(shot);
  await showStill();
}

/** While it records, the picture stays live: what would lead elsewhere waits. */
function recording(on) {
  $("record").setAttribute("aria-pressed", on);
  $("record").setAttribute("aria-label", on ? "Stop recording" : "Record a clip");
  $("shutter").disabled = $("open").disabled = on;
}

async function record() {
  if (!recorder) {
    recorder = new Recorder(canvas);
    recording(true);
    say("Recording", 0);
    return;
  }
  const ending = recorder;
  recorder = null;
  recording(false);
  clip = await ending.stop(name());
  leave();
  say("");
  $("clip").src = URL.createObjectURL(clip);
  show("clip");
  offerSharing(clip);
  $("save").focus();
}

function offerSharing(file) {
  $("share").hidden = !canShare(file);
}

async function back() {
  run++;
  if (clip) {
    URL.revokeObjectURL($("clip").src);
    $("clip").removeAttribute("src");
    clip = null;
  }
  show(home);
  if (home === "live") await look().catch(stopLive);
  else $("begin").focus({ preventScroll: true });
}

async function result() {
  if (clip) return clip;
  await finishing; // not the small one that is shown first
  return pictureFile(canvas, name());
}

// ---- the page

function hangFilters() {
  for (const entry of about.filters) {
    const label = Object.assign(document.createElement("label"), { className: "filter", title: entry.by });
    const radio = Object.assign(document.createElement("input"), { type: "radio", name: "filter", id: `filter-${entry.name}`, value: entry.name });
    const thumb = Object.assign(document.createElement("img"), { className: "thumb", src: entry.thumb, alt: "", width: 72, height: 72 });
    const title = Object.assign(document.createElement("span"), { textContent: entry.title });
    label.append(radio, thumb, title);
    radio.addEventListener("change", () => {
      label.scrollIntoView({ block: "nearest", inline: "center", behavior: "smooth" });
      attempt(choose)(entry);
    });
    $("filters").append(label);
  }
}

function listen() {
  $("begin").onclick = attempt(look);
  $("back").onclick = attempt(back);
  addEventListener("keydown", ({ key }) => {
    if (key === "Escape" && ["still", "clip"].includes(document.documentElement.dataset.state)) back();
  });
  $("turn").onclick = attempt(async () => {
    if (await camera.turn()) say(camera.facing === "user" ? "Front camera" : "Back camera");
  });
  $("choose").onclick = $("open").onclick = $("other").onclick = () => $("file").click();
  $("file").onchange = attempt(async () => {
    const [file] = $("file").files;
    $("file").value = "";
    if (file) await paintFile(file);
  });
  $("shutter").onclick = attempt(take);
  $("record").onclick = attempt(record);
  $("record").hidden = !Recorder.possible;
  $("save").onclick = attempt(async () => {
    save(await result());
    say("Saved");
  });
  $("share").onclick = attempt(async () => (await share(await result())) && say("Shared"));
  $("strength").oninput = () => {
    const percent = `${$("strength").value}\u2009%`;
    document.querySelector("output").textContent = percent;
    $("strength").setAttribute("aria-valuetext", percent);
    change(250);
  };
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    if (file && filter && !recorder) attempt(paintFile)(file);
  });
  // a hidden page lets the camera go, as other apps may want it
  document.addEventListener("visibilitychange", () => {
    if (document.documentElement.dataset.state !== "live" || recorder) return;
    if (document.hidden) leave();
    else look().catch(stopLive);
  });
  addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault();
    $("install").hidden = false;
    $("install").onclick = () => event.prompt().then(() => ($("install").hidden = true));
  });
}

function loading(share) {
  $("loading").hidden = share >= 1;
  $("loading").style.setProperty("--share", share);
  $("loading").setAttribute("aria-valuenow", Math.round(100 * share));
}

/** Threads need headers; where the host sends none, the service worker does, from the next load on: at once, if nothing has begun. */
async function becomeOffline() {
  if (!(await offline().catch(() => false))) return;
  const begun = document.documentElement.dataset.state !== "start";
  if (!crossOriginIsolated && !begun && !asked.has("single") && !sessionStorage.getItem("reloaded")) {
    sessionStorage.setItem("reloaded", "yes");
    location.reload();
    return;
  }
  const files = [...about.runtime[runtime], ...about.filters.map(quick), ...about.filters.map((entry) => entry.file)];
  if (await keepAll(files)) document.documentElement.dataset.offline = "ready";
}

/** Start the painter with a filter; without the graphics processor where that says it can, and cannot. */
async function start(way, first) {
  const ready = await painter.start({ runtime: way, progress: (share) => loading(0.05 + 0.8 * share) });
  runtime = document.documentElement.dataset.runtime = ready.runtime;
  document.documentElement.dataset.threads = ready.threads;
  try {
    await choose(first);
  } catch (error) {
    if (way !== "auto" || runtime === "wasm") throw error;
    await start("wasm", first);
  }
}

async function begin() {
  listen();
  about = await (await fetch("app.json")).json();
  hangFilters();
  const first = about.filters.find((entry) => entry.name === localStorage.getItem("filter")) ?? about.filters[0];
  $("sample").src = first.thumb;
  $(`filter-${first.name}`).checked = true;
  loading(0.05);
  await start(asked.get("runtime") ?? "auto", first);
  loading(1);
  $("begin").disabled = $("choose").disabled = false;
  becomeOffline().catch(() => {}); // offline is a comfort: painting goes on without
}

begin().catch((error) => {
  loading(1);
  say(error.message, 0); // and it stays: nothing can be done here without
});
