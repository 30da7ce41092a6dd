/** The page: four tabs, the bundled model, dropping, and working without a network. */
import { startBenchmark } from './bench.ts';
import { attempt, button, byId, clearError, div, showError } from './dom.ts';
import { startDrop } from './drop.ts';
import { startInside } from './inside.ts';
import { openBundled, openFiles } from './model.ts';
import { showTrain, startTrain, takeText } from './train.ts';
import { startWrite } from './write.ts';

const TABS = ['write', 'train', 'inside', 'benchmark'];
let shown = '';

function show(name: string): void {
  if (name === shown) return;
  shown = name;
  for (const each of TABS) {
    const tab = button(`tab-${each}`);
    const isShown = each === name;
    tab.setAttribute('aria-selected', String(isShown));
    tab.tabIndex = isShown ? 0 : -1;
    byId(each, HTMLElement).hidden = !isShown;
  }
  history.replaceState(null, '', `#${name}`);
  if (name === 'train') showTrain();
}

function startTabs(): void {
  for (const name of TABS) button(`tab-${name}`).addEventListener('click', () => show(name));
  div('tabs').addEventListener('keydown', ({ key }) => {
    const at = TABS.indexOf(shown);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: TABS.length - 1 }[key];
    if (to === undefined) return;
    const tab = button(`tab-${TABS[(to + TABS.length) % TABS.length]}`);
    tab.focus();
    tab.click();
  });
  const wanted = location.hash.slice(1);
  show(TABS.includes(wanted) ? wanted : 'write');
}

async function start(): Promise<void> {
  button('error-close').addEventListener('click', clearError);
  addEventListener('unhandledrejection', ({ reason }) => showError(reason));
  startWrite();
  startInside();
  startBenchmark();
  await startTrain();
  startTabs();
  startDrop(() => shown === 'train', takeText, openFiles);
  attempt(openBundled);
  if (import.meta.env.PROD && 'serviceWorker' in navigator) await navigator.serviceWorker.register('./sw.js');
}

start().catch(showError);
