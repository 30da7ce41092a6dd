/**
 * Keeps the page for times without a network: everything that was built is stored when the page is first opened.
 * vite.config.ts puts in the names of the files, and a version that changes with their content.
 */
const FILES = /* the list of files */ [];
const CACHE = 'lanewise-/* the version */';

addEventListener('install', (event) => {
  const store = async () => {
    const cache = await caches.open(CACHE);
    await cache.addAll(FILES.map((file) => new Request(file, { cache: 'no-cache' })));
    await skipWaiting();
  };
  event.waitUntil(store());
});

addEventListener('activate', (event) => {
  const takeOver = async () => {
    for (const name of await caches.keys())
      if (name.startsWith('lanewise-') && name !== CACHE) await caches.delete(name);
    await clients.claim();
  };
  event.waitUntil(takeOver());
});

addEventListener('fetch', (event) => {
  const { request } = event;
  const isOwn = new URL(request.url).origin === location.origin;
  if (request.method !== 'GET' || !isOwn || request.headers.has('range')) return;
  event.respondWith(answer(request));
});

async function answer(request) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request.mode === 'navigate' ? './' : request, {
    ignoreSearch: request.mode === 'navigate',
  });
  return kept ?? fetch(request);
}
