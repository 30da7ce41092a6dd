// Samples of several programs in turn, so that a disturbance of the machine meets all alike.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** How long a peer may take to end by itself, in milliseconds. */
const GRACE = 5000;

/**
 * Starts a peer; `sample()` asks for one more figure. Pinned to as many cores as it has threads.
 * @param contestant.env of this peer, beside `common`
 * @param contestant.copies so many processes, each on cores of its own, that take a sample at the same time: what they do
 *   together is the figure
 * @returns undefined, having said why, when the peer is not there
 */
async function start({ copies = 1, env: own, ...contestant }, common) {
  const env = { ...common, ...own };
  const starting = Array.from({ length: copies }, (_, copy) => startProcess(contestant, copy, env));
  const peers = await Promise.all(starting);
  const found = peers.filter((peer) => peer !== undefined);
  const stop = () => Promise.all(found.map((peer) => peer.stop()));
  if (found.length < copies) {
    await stop();
    return undefined;
  }
  const sample = async () => {
    const samples = await Promise.all(found.map((peer) => peer.sample()));
    return { ...samples[0], seconds: 1 / samples.reduce((sum, { seconds }) => sum + 1 / seconds, 0) };
  };
  const [{ name }] = found;
  return { name: copies === 1 ? name : `${name}, ${copies} processes`, sample, stop };
}

/** @param copy its cores are the ones behind those of the copies before it */
async function startProcess({ role, command: [command, ...args], task }, copy, env) {
  const { threads = 1 } = task;
  const cores = Array.from({ length: threads }, (_, core) => copy * threads + core).join(',');
  const child = spawn('taskset', ['-c', cores, command, ...args, JSON.stringify(task)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.stdin.on('error', () => {}); // a peer that died is noticed by its missing line
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${role}: ${command} ${args.join(' ')} ended early`);
    return JSON.parse(value);
  };
  const stop = async () => {
    child.stdin.end();
    const timer = setTimeout(() => child.kill('SIGKILL'), GRACE);
    await ended;
    clearTimeout(timer);
  };
  try {
    const { ready, missing } = await next();
    if (ready === undefined) {
      console.error(`${role}: ${missing}`);
      await stop();
      return undefined;
    }
    const sample = () => {
      child.stdin.write('\n');
      return next();
    };
    return { name: ready, sample, stop };
  } catch (error) {
    console.error(`${error.message}; left out`);
    await stop();
    return undefined;
  }
}

export const median = (numbers) => {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/** Digits that say something: three, more before the point. */
export const figure = (value) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2));

/**
 * Takes `rounds` samples of each contestant, in turn, and prints them.
 * @param comparison.units what one sample's `seconds` stand for, in `unit`s
 * @param comparison.contestants each { role, command, task, copies, ours, amount, reference }: those of `ours` are divided by each
 *   of the others; `amount` is how many bytes a unit reads, or how many operations it is; the one of `reference` is what the
 *   machine itself does, in that unit (GB/s or GFLOP/s)
 * @returns rows of results; none when nothing of ours ran
 */
export async function pair({ title, unit, units, contestants }, rounds, env) {
  const running = [];
  for (const contestant of contestants) {
    const peer = await start(contestant, env);
    if (peer) running.push({ ...contestant, ...peer, samples: [], check: undefined });
  }
  for (let round = 0; round < rounds; round++) {
    for (const peer of running) {
      if (peer.failed) continue;
      try {
        const { seconds, loss, check } = await peer.sample();
        peer.samples.push((peer.reference ? 1 : units) / seconds);
        peer.check ??= loss ?? check;
      } catch (error) {
        console.error(`${error.message}; left out`);
        peer.failed = true;
      }
    }
  }
  for (const peer of running) await peer.stop();
  const done = running.filter(({ failed }) => !failed);
  const ours = done.filter((peer) => peer.ours);
  const limit = done.find(({ reference }) => reference);
  const rows = done.map((peer) => {
    const { role, name, samples, check, amount, reference } = peer;
    const rate = amount && (median(samples) * amount) / 1e9;
    const shares = amount && limit?.samples.map((giga, round) => (samples[round] * amount) / 1e9 / giga);
    return {
      title,
      role,
      name,
      unit: reference ?? unit,
      ours: peer.ours === true,
      median: median(samples),
      least: Math.min(...samples),
      most: Math.max(...samples),
      check: typeof check === 'number' ? Number(check.toPrecision(7)) : check,
      ...(rate && { rate, rateUnit: limit?.reference, share: shares && median(shares) }),
      ...(!peer.ours && !reference && { ratios: ours.map((own) => ratio(own, peer)) }),
    };
  });
  for (const row of rows) print(row);
  console.log('');
  if (ours.length > 0) return rows;
  console.error(`${title}: nothing of lanewise ran, so there is no result to write`);
  return [];
}

/** Ours ÷ theirs, sample by sample. */
const ratio = (own, peer) => ({
  ours: own.role,
  value: median(own.samples.map((value, round) => value / peer.samples[round])),
});

function print({ title, name, unit, median, least, most, check, ratios = [], rate, rateUnit, share }) {
  const part = share ? ` (${figure(rate)} ${rateUnit}, ${(100 * share).toFixed(0)} % of the machine's)` : '';
  const times = ratios
    .map(({ ours, value }) => `   ${ratios.length > 1 ? ours : 'ours'} is ${value.toFixed(3)}×`)
    .join('');
  console.log(
    `${title}  ${name}: ${figure(median)} ${unit} (${figure(least)} … ${figure(most)})${part}, check ${check}${times}`,
  );
}
