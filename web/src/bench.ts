/** Benchmark: the library's own, in this browser, beside results that were saved or brought along. */
import {
  type BenchmarkModelName,
  type BenchmarkReport,
  benchmark,
  compareReports,
  type WorkResult,
} from '../../src/index.ts';
import { attempt, button, byId, div, download, element, input, nextFrame, paragraph, Stopped } from './dom.ts';

const SAVED = 'lanewise-benchmarks';
const MOST_SAVED = 4;
const WORKS = ['pp512', 'tg128', 'batch8', 'train', 'gemm', 'memory'] as const;
const TITLES: Readonly<Record<string, string>> = {
  pp512: 'Reading a prompt of 512 tokens',
  tg128: 'Writing 128 tokens',
  batch8: 'Writing 8 texts at once',
  train: 'Training',
  memory: 'Reading memory',
};

interface Saved {
  readonly title: string;
  readonly report: BenchmarkReport;
}

let running: AbortController | undefined;
let latest: BenchmarkReport | undefined;

function isReport(value: unknown): value is BenchmarkReport {
  const { format, works } = (value ?? {}) as Partial<BenchmarkReport>;
  return format === 'lanewise-benchmark-1' && Array.isArray(works);
}

function saved(): Saved[] {
  try {
    const list = JSON.parse(localStorage.getItem(SAVED) ?? '[]') as Saved[];
    return list.filter(({ report }) => isReport(report));
  } catch {
    return []; // what is there was not written by this page
  }
}

function save(title: string, report: BenchmarkReport): void {
  localStorage.setItem(SAVED, JSON.stringify([{ title, report }, ...saved()].slice(0, MOST_SAVED)));
}

/** What ran it: `firefox 153, 1 thread`. */
function runtimeOf({ runtime, threads }: BenchmarkReport): string {
  return `${runtime}, ${threads} thread${threads === 1 ? '' : 's'}`;
}

const figure = (value: number) => value.toLocaleString('en', { maximumSignificantDigits: 3 });

function showTable(works: readonly WorkResult[], report?: BenchmarkReport): void {
  const others = saved().filter((each) => JSON.stringify(each.report) !== JSON.stringify(report));
  const columns = others.map(({ report }) => (latest ? compareReports(report, latest) : []));
  const head = element(
    'tr',
    {},
    element('th', { scope: 'col' }, 'What'),
    element('th', { scope: 'col' }, 'Now', element('small', {}, report ? `${report.model}, ${runtimeOf(report)}` : '')),
    ...others.map(({ title, report }) =>
      element('th', { scope: 'col' }, title, element('small', {}, `${report.model}, ${runtimeOf(report)}`)),
    ),
  );
  const rows = works.map((work) => {
    const name = TITLES[work.name] ?? work.name;
    const now =
      'skipped' in work
        ? [element('small', {}, work.skipped)]
        : [
            `${figure(work.median)} ${work.unit}`,
            element('small', {}, `${figure(work.minimum)} to ${figure(work.maximum)}`),
          ];
    const cells = others.map(({ report }, i) => {
      const theirs = report.works.find((each) => each.name === work.name);
      if (!theirs || 'skipped' in theirs) return element('td', {}, '–');
      const ratio = columns[i]!.find((each) => each.name === work.name)?.ratio;
      const compared = ratio === undefined ? '' : `now ${ratio.toFixed(2)} ×`;
      return element('td', {}, `${figure(theirs.median)} ${theirs.unit}`, element('small', {}, compared));
    });
    return element('tr', {}, element('td', {}, name), element('td', {}, ...now), ...cells);
  });
  byId('benchmark-table', HTMLTableElement).replaceChildren(element('thead', {}, head), element('tbody', {}, ...rows));
  div('benchmark-card').hidden = rows.length === 0 && others.length === 0;
}

function refresh(): void {
  showTable(latest?.works ?? saved()[0]?.report.works ?? [], latest);
  button('benchmark-export').disabled = latest === undefined;
}

async function run(): Promise<void> {
  const controller = new AbortController();
  running = controller;
  button('benchmark-start').disabled = true;
  button('benchmark-stop').disabled = false;
  const status = paragraph('benchmark-status');
  status.textContent = 'Checking that this machine computes what it should …';
  const model = byId('benchmark-model', HTMLSelectElement).value as BenchmarkModelName;
  const works: WorkResult[] = [];
  latest = undefined;
  try {
    await nextFrame();
    const steps = benchmark({ model, only: WORKS, signal: controller.signal });
    for (;;) {
      const step = await steps.next();
      if (step.done) {
        latest = step.value;
        break;
      }
      works.push(step.value);
      status.textContent = `Measured: ${works.map(({ name }) => name).join(', ')} …`;
      showTable(works);
      await nextFrame();
    }
    status.textContent = `Done: ${latest.binary}, ${runtimeOf(latest)}.`;
    refresh();
    save(new Date().toISOString().slice(0, 16).replace('T', ' '), latest);
  } catch (error) {
    status.textContent = error instanceof Stopped ? 'Stopped.' : '';
    throw error;
  } finally {
    running = undefined;
    button('benchmark-start').disabled = false;
    button('benchmark-stop').disabled = true;
  }
}

async function bring(file: File): Promise<void> {
  let report: unknown;
  try {
    report = JSON.parse(await file.text());
  } catch {
    report = undefined;
  }
  if (!isReport(report))
    throw new Error(
      `${file.name}: expected a result of “Export as JSON” or of lanewise bench --json, got something else. Choose such a file.`,
    );
  save(file.name, report);
  refresh();
}

export function startBenchmark(): void {
  byId('benchmark-form', HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault();
    attempt(run);
  });
  button('benchmark-stop').addEventListener('click', () => running?.abort(new Stopped()));
  button('benchmark-export').addEventListener('click', () => {
    if (latest) download(`lanewise-${latest.model}.json`, `${JSON.stringify(latest, null, 2)}\n`, 'application/json');
  });
  input('benchmark-import').addEventListener('change', () => {
    const [file] = input('benchmark-import').files ?? [];
    if (file) attempt(() => bring(file));
  });
  button('benchmark-forget').addEventListener('click', () => {
    localStorage.removeItem(SAVED);
    refresh();
  });
  refresh();
}
