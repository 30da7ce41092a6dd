/** How users name the encodings of weights. */
import type { Encoding } from '../graph/encoding.ts';

/** How the weights of products lie in memory; everything else is f32. */
export type Dtype = Exclude<Encoding, 'packed'>;

export const DTYPES: readonly Dtype[] = ['f32', 'f16', 'bf16', 'q8', 'q4'];

/** What users call an encoding: `packed` is f32 in panels. */
export function dtypeOf(encoding: Encoding): Dtype {
  return encoding === 'packed' ? 'f32' : encoding;
}
