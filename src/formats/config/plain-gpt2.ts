/**
 * The config.json of a GPT-2 where nothing in it is unusual, read without a word. Any other, for better or worse, is for
 * `parse-config.ts`, which a program then loads, and which reads it or says what is wrong.
 */
import type { ParsedConfig, Quantization } from './family.ts';
import { frozenConfig, GPT_DEFAULTS, type GPTConfig, obeys, RULES } from './gpt-config.ts';

/** What the files of both families call an option; the first name is the one that messages use. */
export const NAMES = {
  vocabSize: ['vocab_size'],
  blockSize: ['n_positions', 'max_position_embeddings', 'n_ctx'],
  nLayer: ['n_layer', 'num_hidden_layers'],
  nHead: ['n_head', 'num_attention_heads'],
  nEmbd: ['n_embd', 'hidden_size'],
  layerNormEpsilon: ['layer_norm_epsilon'],
  embdDropout: ['embd_pdrop'],
  attnDropout: ['attn_pdrop'],
  residDropout: ['resid_pdrop'],
  initializerRange: ['initializer_range'],
} as const;

/** `activation_function`: what means which formula (transformers `activations.py`, ACT2CLS). */
export const TANH = ['gelu_new', 'gelu_pytorch_tanh', 'gelu_python_tanh', 'gelu_fast', 'gelu_accurate'];
export const ERF = ['gelu', 'gelu_python'];

/** Whose quantization it is. */
export const QUANT_METHOD = 'lanewise';
/** Inputs that share a scale: Q8_BLOCK and Q4_BLOCK in abi/encodings.ts. */
export const BLOCK_SIZES: Readonly<Record<Quantization, number>> = { q8: 64, q4: 32 };

/** More brackets than a config.json has, of which each may be a level of nesting. */
const MANY_BRACKETS = 100;

/** What the text of a config.json says; undefined when it has anything unusual. */
export function readPlainGPT2(text: string): ParsedConfig | undefined {
  const fields = parsePlainJson(text);
  if (fields?.model_type !== 'gpt2') return undefined;
  const field = (name: string) => fields[name] ?? undefined;
  const options: Record<string, unknown> = {};
  for (const [option, names] of Object.entries(NAMES))
    options[option] =
      names.map(field).find((value) => value !== undefined) ?? GPT_DEFAULTS[option as keyof typeof NAMES];
  const { vocabSize, nEmbd } = options as unknown as GPTConfig;
  const activation = (field('activation_function') ?? 'gelu_new') as string;
  const tokenIds = ['bos', 'eos'].map((name) => fields[`${name}_token_id`]);
  const [bosTokenId, eosTokenId] = tokenIds.map((id = 50256) =>
    id !== null && (id as number) < vocabSize ? id : undefined,
  );
  const config = {
    ...options,
    nInner: field('n_inner') ?? 4 * nEmbd,
    activation: ERF.includes(activation) ? 'gelu-erf' : 'gelu-tanh',
    bosTokenId,
    eosTokenId,
  } as GPTConfig;
  const {
    quant_method: method,
    format,
    block_size: blockSize,
  } = (field('quantization_config') ?? {}) as Record<string, unknown>;
  const quantization = format as Quantization | undefined;
  const usual = [
    field('scale_attn_weights') ?? true,
    (field('scale_attn_by_inverse_layer_idx') ?? false) === false,
    (field('add_cross_attention') ?? false) === false,
    field('tie_word_embeddings') ?? true,
    [...TANH, ...ERF].includes(activation),
    tokenIds.every((id) => id === undefined || id === null || (Number.isSafeInteger(id) && (id as number) >= 0)),
    field('quantization_config') === undefined ||
      (method === QUANT_METHOD &&
        Object.hasOwn(BLOCK_SIZES, String(format)) &&
        blockSize === BLOCK_SIZES[quantization!]),
    RULES.every((rule) => rule[0].every((option) => obeys(config, rule, option))),
  ].every((right) => right === true);
  if (!usual) return undefined;
  const parsed = { family: 'gpt2', config: frozenConfig(config) } as const;
  return quantization ? { ...parsed, quantization } : parsed;
}

/** An object as text, of which the strict reader (json.ts) would say the same; undefined for all others. */
function parsePlainJson(text: string): Readonly<Record<string, unknown>> | undefined {
  let keys = 0;
  let finite = true;
  try {
    const root = JSON.parse(text, (_key, value) => {
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) keys += Object.keys(value).length;
      if (typeof value === 'number') finite &&= Number.isFinite(value);
      return value;
    });
    const strings = text.match(/"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?/g) ?? [];
    // No key stands twice, and no half of a surrogate pair is spelled out.
    const isPlain = strings.filter((string) => string.endsWith(':')).length === keys && !text.includes('\\u');
    const brackets = text.match(/[[{]/g)?.length ?? 0;
    return isPlain && finite && brackets < MANY_BRACKETS && !Array.isArray(root) ? root : undefined;
  } catch {
    return undefined;
  }
}
