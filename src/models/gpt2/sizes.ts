/** The four published GPT-2s by their numbers of parameters, and two small ones that are quick to measure and to train. */
export const GPT2_SIZES = {
  tiny: { nLayer: 2, nHead: 2, nEmbd: 64, vocabSize: 256 },
  '10M': { nLayer: 6, nHead: 6, nEmbd: 384, vocabSize: 256 },
  '124M': { nLayer: 12, nHead: 12, nEmbd: 768 },
  '355M': { nLayer: 24, nHead: 16, nEmbd: 1024 },
  '774M': { nLayer: 36, nHead: 20, nEmbd: 1280 },
  '1.5B': { nLayer: 48, nHead: 25, nEmbd: 1600 },
} as const;
