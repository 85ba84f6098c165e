// What is kept for offline: files are fetched once, into the cache that the service worker answers from.

const CACHE = `impasto ${new URL("./", import.meta.url).href} ` + "@VERSION@"; // as in sw.js

/** Fetched, and asked for anew: what a browser keeps by itself may be of the version before. */
async function fetched(path) {
  const response = await fetch(new URL(path, import.meta.url), { cache: "no-cache" }).catch(() => null);
  if (!response?.ok) throw new Error(`${path} could not be loaded${response ? ` (${response.status})` : ""}: is there a network?`);
  return response;
}

/** A file of the app: from the cache, else fetched and kept. `progress` is told the share that has come, 0 to 1. */
export async function kept(path, progress) {
  const url = new URL(path, import.meta.url).href;
  const cache = await globalThis.caches?.open(CACHE).catch(() => undefined); // private windows may have none
  const held = await cache?.match(url);
  const response = held ?? (await fetched(path));
  const copy = held ? null : response.clone();
  const bytes = await received(response, progress);
  if (copy) await cache?.put(url, copy).catch(() => {}); // a full disk: then it is fetched again the next time
  return bytes;
}

async function received(response, progress) {
  const total = Number(response.headers.get("Content-Length"));
  if (!progress || !total || !response.body) return new Uint8Array(await response.arrayBuffer());
  const parts = [];
  let length = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    length += value.length;
    progress(Math.min(1, length / total));
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** Fetch what is not here yet, one file after the other, unless the visitor asked to save data. Tells whether all is here. */
export async function keepAll(paths) {
  if (navigator.connection?.saveData || !globalThis.caches) return false;
  const cache = await caches.open(CACHE);
  for (const path of paths) {
    const url = new URL(path, import.meta.url).href;
    if (!(await cache.match(url))) await cache.put(url, await fetched(path));
  }
  return true;
}

/** Start the service worker. Resolves when this page and its next visits can do without the network. */
export async function offline() {
  if (!navigator.serviceWorker) return false;
  await navigator.serviceWorker.register("sw.js");
  await navigator.serviceWorker.ready;
  return true;
}
