/** GPT-2 models of new weights (Radford et al. 2019, §2.3): residual projections start smaller by 1/√(2·nLayer). */
import { ConfigError } from '../errors.ts';
import { completeGPTConfig, type GPTOptions } from '../formats/index.ts';
import { createGPT } from './create.ts';
import type { CreateOptions } from './gpt.ts';
import { GPT2 } from './gpt2.ts';

/** The four published sizes, by their numbers of parameters. */
export const GPT2_SIZES = {
  '124M': { nLayer: 12, nHead: 12, nEmbd: 768 },
  '355M': { nLayer: 24, nHead: 16, nEmbd: 1024 },
  '774M': { nLayer: 36, nHead: 20, nEmbd: 1280 },
  '1.5B': { nLayer: 48, nHead: 25, nEmbd: 1600 },
} as const;

export type GPT2Size = keyof typeof GPT2_SIZES;

export type CreateGPT2Options = GPTOptions & CreateOptions & { size?: GPT2Size };

export async function createGPT2({ size, seed, threads, precision, ...options }: CreateGPT2Options): Promise<GPT2> {
  if (size !== undefined && !Object.hasOwn(GPT2_SIZES, size))
    throw new ConfigError(
      `GPT2.create: expected size to be one of ${Object.keys(GPT2_SIZES).join(', ')}, got ${JSON.stringify(size)}.`,
    );
  const config = completeGPTConfig({ ...(size && GPT2_SIZES[size]), ...options }, 'GPT2.create');
  const residualStd = config.initializerRange / Math.sqrt(2 * config.nLayer);
  const deviationOf = (name: string) => (name.endsWith('.c_proj.weight') ? residualStd : config.initializerRange);
  return createGPT(GPT2, config, deviationOf, { seed, threads, precision });
}
