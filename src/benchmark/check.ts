/**
 * Whether the machine computes what it should, so that a fast wrong answer is seen. In exact precision the logits of a
 * small model have the same bits on every machine, so one checksum stands for all; in the precision that is measured they
 * may differ from those in the last digits, and the largest difference is reported.
 */
import { crc32 } from '../formats/index.ts';
import { Session } from '../models/index.ts';
import { causalLanguageModel } from '../objectives/index.ts';
import type { BackendInfo } from '../runtime/backend.ts';
import type { EngineOptions } from '../runtime/engine.ts';
import { Trainer } from '../training/index.ts';
import { CHECKED_MODEL, openTrainable, subjectOf } from './models.ts';
import { drawTokens, trainingBatch } from './works.ts';

/** What every machine computes; a change of kernels, initialization or this file that changes bits changes it. */
export const EXPECTED_CHECKSUM = 'bdb44751';

/** Read at once, more than the largest tile has rows and no multiple of it; then one at a time. */
const PROMPT_TOKENS = 37;
const DECODED_TOKENS = 5;
const TRAIN_STEPS = 2;

export interface Check {
  /** CRC-32, in hexadecimal, of logits in exact precision: after a prompt, of decoding, and after two training steps. */
  readonly checksum: string;
  /** Whether that is what every machine computes. */
  readonly isExpected: boolean;
  /** Largest difference of logits in the measured precision from the exact ones, as a share of the largest logit. */
  readonly deviation: number;
  /** What ran in the measured precision. */
  readonly engine: BackendInfo;
}

/** Computes the logits of a small model twice: exactly, and with these options. */
export async function checkAnswers(options: EngineOptions): Promise<Check> {
  const exact = await logitsOfTiny({ ...options, precision: 'exact' });
  const measured = await logitsOfTiny(options);
  let checksum = 0;
  for (const logits of [...exact.before, ...exact.after])
    checksum = crc32(new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength), checksum);
  const hexadecimal = checksum.toString(16).padStart(8, '0');
  const scale = Math.max(...exact.before.map((logits) => largest(logits, Math.abs)));
  const differences = exact.before.map((logits, i) => largest(logits, (x, j) => Math.abs(x - measured.before[i]![j]!)));
  return {
    checksum: hexadecimal,
    isExpected: hexadecimal === EXPECTED_CHECKSUM,
    deviation: Math.max(...differences) / scale,
    engine: measured.engine,
  };
}

async function logitsOfTiny(options: EngineOptions) {
  const subject = await subjectOf(CHECKED_MODEL);
  const model = await openTrainable(subject, options);
  try {
    const tokens = drawTokens(model.config.vocabSize, PROMPT_TOKENS + DECODED_TOKENS);
    const session = await Session.create(model, { capacity: tokens.length });
    const before = await session.append([{ tokens: tokens.subarray(0, PROMPT_TOKENS) }]);
    for (let at = PROMPT_TOKENS; at < tokens.length; at++)
      before.push(...(await session.append([{ tokens: tokens.subarray(at, at + 1), position: at }])));
    const batch = trainingBatch(model);
    const { length } = batch[0]!.tokens;
    const dataset = { batch: () => batch, fingerprint: 'check' };
    for await (const _step of new Trainer(causalLanguageModel(model), dataset, {
      batchSize: 1,
      length,
      steps: TRAIN_STEPS,
    }).run());
    const after = await session.append([{ tokens: tokens.subarray(0, PROMPT_TOKENS) }]);
    return { before, after, engine: model.engine.info };
  } finally {
    model.dispose();
  }
}

/** The largest of a function of some numbers; NaN where one is. */
function largest(values: Float32Array, of: (value: number, index: number) => number): number {
  return values.reduce((most, value, index) => Math.max(most, of(value, index)), 0);
}
