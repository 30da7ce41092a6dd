/** The reader of a usual config.json: it knows what libraries write, and says nothing that the strict reader would not say. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readPlainGPT2 } from '../../src/formats/config/plain-gpt2.ts';
import { formatConfig, parseConfig } from '../../src/formats/index.ts';

/** Text with some of it cut out and something else put in. */
const damage = fc.tuple(
  fc.double({ min: 0, max: 1, noNaN: true }),
  fc.nat(6),
  fc.constantFrom('', '"', '0', '-', '}', ',', 'null', '[]', '9', '.0', '\\u0061', '"n_embd":8,', ' '),
);
const damaged = (text: string, [where, length, insert]: [number, number, string]) => {
  const at = Math.floor(where * text.length);
  return text.slice(0, at) + insert + text.slice(at + length);
};

/** What the strict reader says, or undefined when it refuses. */
async function strict<T>(read: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch {
    return undefined;
  }
}

describe('config.json', () => {
  const gpt2 = formatConfig(
    'gpt2',
    parseConfig('{"model_type":"gpt2","n_embd":24,"n_head":3,"activation_function":"gelu"}').config,
  );

  it.each([
    gpt2,
    '{"model_type":"gpt2"}',
    '{"model_type":"gpt2","hidden_size":8,"num_attention_heads":2,"n_ctx":5,"vocab_size":9,"eos_token_id":null,"bos_token_id":3}',
    '{"model_type":"gpt2","quantization_config":{"quant_method":"lanewise","format":"q8","block_size":64}}',
    '{"model_type":"gpt2","task_specific_params":{"text-generation":{"max_length":50,"do_sample":true}},"a:\\"b":[1.5]}',
  ])('of GPT-2 is read: %j', (text) => {
    expect(readPlainGPT2(text)).toEqual(parseConfig(text));
    expect(Object.isFrozen(readPlainGPT2(text)!.config)).toBe(true);
  });

  it.each([
    '{"model_type":"openai-gpt"}',
    '{"model_type":"gpt2","n_embd":8,"n_embd":8}',
    '{"model_type":"gpt2","x":{"a":1,"a":1}}',
    '{"model_type":"gpt2","x":"\\ud800"}',
    '{"model_type":"gpt2","x":1e999}',
    '{"model_type":"gpt2","scale_attn_by_inverse_layer_idx":0}',
    '{"model_type":"gpt2","eos_token_id":[50256]}',
    `{"model_type":"gpt2","x":${'['.repeat(130)}${']'.repeat(130)}}`,
    'null',
    '',
  ])('of another kind is not: %j', (text) => {
    expect(readPlainGPT2(text)).toBeUndefined();
  });

  it('says what the strict reader says, or nothing', async () => {
    const fields = fc.record(
      {
        model_type: fc.constantFrom('gpt2', 'gpt2', 'gpt2', 'openai-gpt', 1),
        n_embd: fc.constantFrom(8, 12, 8.5, -0, '8', null),
        n_head: fc.constantFrom(2, 4, 0, true),
        hidden_size: fc.constantFrom(16, null),
        n_inner: fc.constantFrom(null, 7, 0.5),
        activation_function: fc.constantFrom('gelu', 'gelu_new', 'relu', 5, null, 'constructor'),
        layer_norm_epsilon: fc.constantFrom(1e-5, 0, 1, 2),
        embd_pdrop: fc.constantFrom(0, 0.5, 1, 0.99999999999, '0'),
        initializer_range: fc.constantFrom(0.02, -1, 101),
        eos_token_id: fc.constantFrom(null, 3, 1e9, -1, 1.5, [3], [3, 4]),
        scale_attn_weights: fc.constantFrom(true, false, 1, null),
        add_cross_attention: fc.constantFrom(false, true, 0, ''),
        tie_word_embeddings: fc.constantFrom(true, false, null),
        quantization_config: fc.constantFrom(
          null,
          {},
          { quant_method: 'lanewise', format: 'q4', block_size: 32 },
          [],
          'q8',
          {
            quant_method: 'lanewise',
            format: 'q8',
            block_size: 32,
          },
        ),
      },
      { requiredKeys: ['model_type'] },
    );
    const texts = fc.oneof(
      fields.map((value) => JSON.stringify(value)),
      damage.map((how) => damaged(gpt2, how)),
    );
    await fc.assert(
      fc.asyncProperty(texts, async (text) => {
        const found = readPlainGPT2(text);
        if (found !== undefined) expect(found).toEqual(await strict(() => parseConfig(text)));
      }),
      { numRuns: 5000 },
    );
  });
});
