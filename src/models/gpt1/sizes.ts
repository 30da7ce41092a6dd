/** The published GPT-1, by its number of parameters. */
export const GPT1_SIZES = {
  '117M': { nLayer: 12, nHead: 12, nEmbd: 768, blockSize: 512, vocabSize: 40478 },
} as const;
