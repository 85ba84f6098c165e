// The service worker: answers from the cache, so that the app works offline, and adds the headers that threads need where
// a static host cannot send them.

const APP = `impasto ${registration.scope} `; // other apps of ours may have the same origin
const CACHE = APP + "@VERSION@";
const SHELL = ["@SHELL@"];
const LATER = ["@LATER@"]; // runtime and networks: kept as they are needed
const HEADERS = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
};

const versions = async () => (await caches.keys()).filter((name) => name.startsWith(APP));

/** A version is there as a whole, with all that the one before had kept, or not at all: either works offline. */
async function install() {
  const had = new Set();
  for (const name of await versions()) for (const { url } of await (await caches.open(name)).keys()) had.add(url);
  const files = [...SHELL, ...LATER.filter((path) => had.has(new URL(path, registration.scope).href))];
  const cache = await caches.open(CACHE);
  await cache.addAll(files.map((path) => new Request(path, { cache: "no-cache" })));
}

async function activate() {
  for (const name of await versions()) if (name !== CACHE) await caches.delete(name);
  await clients.claim();
}

// a new version waits until no page of the old one is open: an old page with new files under it would be neither
addEventListener("install", (event) => event.waitUntil(install()));
addEventListener("activate", (event) => event.waitUntil(activate()));

addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method === "GET" && url.href.startsWith(registration.scope)) event.respondWith(answer(event.request));
});

async function answer(request) {
  const cache = await caches.open(CACHE);
  const found = (await cache.match(request, { ignoreSearch: true })) ?? (await fetch(request));
  if (found.status === 0) return found;
  // a new answer, also because one that a host led elsewhere for may not be given to a navigation
  const headers = new Headers(found.headers);
  for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
  const body = [204, 304].includes(found.status) ? null : found.body;
  return new Response(body, { status: found.status, statusText: found.statusText, headers });
}
