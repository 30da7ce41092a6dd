// Writes a GPT-2 of a Hugging Face folder (config.json, model.safetensors in f32, tokenizer.json) as a GGUF file, for llama.cpp.
// usage: gguf.mjs FOLDER OUT.gguf [f32|f16|q8_0|q4_0]
//
// A GGUF file: magic, version, counts, metadata, one record for each tensor, and the data, each tensor at a multiple of 32 bytes.
// Tensor names, metadata keys and the two block layouts are those of llama.cpp (gguf-py/gguf/constants.py, conversion of
// GPT2LMHeadModel in convert_hf_to_gguf.py, quantize_row_q8_0_ref and quantize_row_q4_0_ref of ggml-quants.c). GGUF's first
// dimension is the one that is contiguous, and llama.cpp wants the in-features there: GPT-2's Conv1D weights [in, out] are transposed.
// Matrices are quantized along the in-features, tables of tokens too; positions, norms and biases stay f32, as in llama-quantize.
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const ALIGNMENT = 32;
/** GGML's number of a type, the elements of a block and its bytes; `file` is llama.cpp's number of a file of such tensors. */
const TYPES = {
  f32: {
    ggml: 0,
    file: 0,
    block: 1,
    bytes: 4,
    encode: (values) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  },
  f16: { ggml: 1, file: 1, block: 1, bytes: 2, encode: encodeF16 },
  q8_0: { ggml: 8, file: 7, block: 32, bytes: 34, encode: encodeQ8 },
  q4_0: { ggml: 2, file: 2, block: 32, bytes: 18, encode: encodeQ4 },
};
const VALUE = { u32: 4, f32: 6, bool: 7, string: 8, array: 9, i32: 5 };
const TOKEN_NORMAL = 1;
const TOKEN_CONTROL = 3;

/** Nearest f16 of a positive or negative number, ties to even, as bits. */
const f16Float = new Float32Array(1);
const f16Bits = new Uint32Array(f16Float.buffer);
function f16(value) {
  f16Float[0] = value;
  const [bits] = f16Bits;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude >= 0x47800000) throw new RangeError(`gguf: expected a number below 65,520 in f16, got ${value}.`);
  if (magnitude < 0x38800000) return sign | roundHalfEven(Math.abs(value) * 2 ** 24); // subnormal: multiples of 2^-24
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
}
function roundHalfEven(value) {
  const down = Math.floor(value);
  const rest = value - down;
  return rest > 0.5 || (rest === 0.5 && down % 2 === 1) ? down + 1 : down;
}

function encodeF16(values) {
  return new Uint8Array(Uint16Array.from(values, f16).buffer);
}

/** Blocks of 32: scale f16, 32 × i8. */
function encodeQ8(values) {
  const out = new Uint8Array((values.length / 32) * 34);
  for (let from = 0, to = 0; from < values.length; from += 32, to += 34) {
    let largest = 0;
    for (let i = 0; i < 32; i++) largest = Math.max(largest, Math.abs(values[from + i]));
    const scale = Math.fround(largest / 127);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    const bits = f16(scale);
    out[to] = bits & 255;
    out[to + 1] = bits >> 8;
    for (let i = 0; i < 32; i++) {
      const scaled = Math.fround(values[from + i] * inverse);
      out[to + 2 + i] = Math.sign(scaled) * Math.floor(Math.abs(scaled) + 0.5);
    }
  }
  return out;
}

/** Blocks of 32: scale f16, 16 bytes, of which the low halves are the first 16 values; 8 stands for 0. */
function encodeQ4(values) {
  const out = new Uint8Array((values.length / 32) * 18);
  for (let from = 0, to = 0; from < values.length; from += 32, to += 18) {
    let furthest = 0;
    for (let i = 0; i < 32; i++) if (Math.abs(values[from + i]) > Math.abs(furthest)) furthest = values[from + i];
    const scale = Math.fround(furthest / -8);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    const bits = f16(scale);
    out[to] = bits & 255;
    out[to + 1] = bits >> 8;
    const nibble = (i) => Math.min(15, Math.floor(Math.fround(Math.fround(values[from + i] * inverse) + 8.5)));
    for (let i = 0; i < 16; i++) out[to + 2 + i] = nibble(i) | (nibble(i + 16) << 4);
  }
  return out;
}

/** Bytes of a header, little-endian. */
class Bytes {
  #parts = [];
  length = 0;
  raw(bytes) {
    this.#parts.push(bytes);
    this.length += bytes.length;
  }
  #number(bytes, write) {
    const buffer = Buffer.alloc(bytes);
    write(buffer);
    this.raw(buffer);
  }
  u32(value) {
    this.#number(4, (buffer) => buffer.writeUInt32LE(value));
  }
  i32(value) {
    this.#number(4, (buffer) => buffer.writeInt32LE(value));
  }
  u64(value) {
    this.#number(8, (buffer) => buffer.writeBigUInt64LE(BigInt(value)));
  }
  f32(value) {
    this.#number(4, (buffer) => buffer.writeFloatLE(value));
  }
  string(text) {
    const bytes = Buffer.from(text, 'utf8');
    this.u64(bytes.length);
    this.raw(bytes);
  }
  /** A metadata pair; an array is given as its element type and its values. */
  pair(key, type, value, elements) {
    this.string(key);
    this.u32(VALUE[type]);
    if (type === 'array') {
      this.u32(VALUE[value]);
      this.u64(elements.length);
      for (const element of elements) this[value](element);
    } else this[type](value);
  }
  concat() {
    return Buffer.concat(this.#parts);
  }
}

/** The tensors of a safetensors file as f32, by name without GPT-2's optional prefix. */
function readTensors(file) {
  const bytes = readFileSync(file);
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + headerBytes).toString());
  const tensors = new Map();
  for (const [
    name,
    {
      dtype,
      shape,
      data_offsets: [start, end],
    },
  ] of Object.entries(header).filter(([name]) => name !== '__metadata__')) {
    if (dtype !== 'F32') throw new Error(`gguf: expected ${name} in F32, got ${dtype}.`);
    const at = bytes.byteOffset + 8 + headerBytes + start;
    const aligned = at % 4 === 0 ? bytes.buffer : bytes.buffer.slice(at, at + end - start);
    tensors.set(name.replace(/^transformer\./, ''), {
      shape,
      values: new Float32Array(aligned, at % 4 === 0 ? at : 0, (end - start) / 4),
    });
  }
  return tensors;
}

/** [in, out] → [out, in] */
function transpose({ shape: [rows, cols], values }) {
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++)
    for (let col = 0; col < cols; col++) out[col * rows + row] = values[row * cols + col];
  return { shape: [cols, rows], values: out };
}

/** What llama.cpp calls the tensors, in its order, and the type of each. */
function* tensorsOf(tensors, layers, type) {
  const get = (name) => {
    const tensor = tensors.get(name);
    if (!tensor) throw new Error(`gguf: expected a tensor ${name}.`);
    return tensor;
  };
  yield ['token_embd.weight', get('wte.weight'), type];
  yield ['position_embd.weight', get('wpe.weight'), 'f32'];
  for (let layer = 0; layer < layers; layer++) {
    const names = {
      attn_norm: 'ln_1',
      attn_qkv: 'attn.c_attn',
      attn_output: 'attn.c_proj',
      ffn_norm: 'ln_2',
      ffn_up: 'mlp.c_fc',
      ffn_down: 'mlp.c_proj',
    };
    for (const [name, ours] of Object.entries(names)) {
      const weight = get(`h.${layer}.${ours}.weight`);
      const matrix = weight.shape.length === 2;
      yield [`blk.${layer}.${name}.weight`, matrix ? transpose(weight) : weight, matrix ? type : 'f32'];
      yield [`blk.${layer}.${name}.bias`, get(`h.${layer}.${ours}.bias`), 'f32'];
    }
  }
  yield ['output_norm.weight', get('ln_f.weight'), 'f32'];
  yield ['output_norm.bias', get('ln_f.bias'), 'f32'];
}

/**
 * @param {string} folder a GPT-2 in Hugging Face's format
 * @param {string} out the file to write
 * @param {'f32' | 'f16' | 'q8_0' | 'q4_0'} type of the matrices and of the token table, which is the output layer too
 */
export function writeGGUF(folder, out, type) {
  if (!TYPES[type]) throw new Error(`gguf: expected ${Object.keys(TYPES).join(', ')}, got ${type}.`);
  const config = JSON.parse(readFileSync(`${folder}/config.json`, 'utf8'));
  const tokenizer = JSON.parse(readFileSync(`${folder}/tokenizer.json`, 'utf8'));
  const tokens = new Array(config.vocab_size);
  for (const [token, id] of Object.entries(tokenizer.model.vocab)) tokens[id] = token;
  const control = new Set();
  for (const { content, id, special } of tokenizer.added_tokens) {
    tokens[id] = content;
    if (special) control.add(id);
  }
  const endOfText =
    tokenizer.added_tokens.find(({ content }) => content === '<|endoftext|>')?.id ?? config.vocab_size - 1;
  const names = Array.from(tokens, (token, id) => token ?? `[PAD${id}]`);
  const types = names.map((_, id) => (control.has(id) ? TOKEN_CONTROL : TOKEN_NORMAL));
  const merges = tokenizer.model.merges.map((merge) => (Array.isArray(merge) ? merge.join(' ') : merge));
  const pairs = [
    ['general.architecture', 'string', 'gpt2'],
    ['general.name', 'string', 'gpt2'],
    ['general.file_type', 'u32', TYPES[type].file],
    ['general.quantization_version', 'u32', 2],
    ['general.alignment', 'u32', ALIGNMENT],
    ['gpt2.block_count', 'u32', config.n_layer],
    ['gpt2.context_length', 'u32', config.n_positions],
    ['gpt2.embedding_length', 'u32', config.n_embd],
    ['gpt2.feed_forward_length', 'u32', config.n_inner ?? 4 * config.n_embd],
    ['gpt2.attention.head_count', 'u32', config.n_head],
    ['gpt2.attention.layer_norm_epsilon', 'f32', config.layer_norm_epsilon],
    ['tokenizer.ggml.model', 'string', 'gpt2'],
    ['tokenizer.ggml.pre', 'string', 'gpt-2'],
    ['tokenizer.ggml.tokens', 'array', 'string', names],
    ['tokenizer.ggml.token_type', 'array', 'i32', types],
    ['tokenizer.ggml.merges', 'array', 'string', merges],
    ['tokenizer.ggml.bos_token_id', 'u32', endOfText],
    ['tokenizer.ggml.eos_token_id', 'u32', endOfText],
  ];

  const tensors = [...tensorsOf(readTensors(`${folder}/model.safetensors`), config.n_layer, type)];
  const padded = (bytes) => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
  const head = new Bytes();
  head.raw(Buffer.from('GGUF'));
  head.u32(3);
  head.u64(tensors.length);
  head.u64(pairs.length);
  for (const pair of pairs) head.pair(...pair);
  let offset = 0;
  for (const [name, { shape, values }, as] of tensors) {
    const { ggml, block, bytes } = TYPES[as];
    if (shape.at(-1) % block !== 0)
      throw new Error(`gguf: expected rows of a multiple of ${block} in ${name}, got ${shape}.`);
    head.string(name);
    head.u32(shape.length);
    for (const size of [...shape].reverse()) head.u64(size);
    head.u32(ggml);
    head.u64(offset);
    offset += padded((values.length / block) * bytes);
  }
  const file = openSync(out, 'w');
  const write = (bytes) => {
    writeSync(file, bytes);
    if (bytes.length % ALIGNMENT !== 0) writeSync(file, new Uint8Array(padded(bytes.length) - bytes.length));
  };
  write(head.concat());
  for (const [, { values }, as] of tensors) write(TYPES[as].encode(values));
  closeSync(file);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [folder, out, type = 'f32'] = process.argv.slice(2);
  if (!out) {
    console.error('usage: gguf.mjs FOLDER OUT.gguf [f32|f16|q8_0|q4_0]');
    process.exit(2);
  }
  writeGGUF(folder, out, type);
}
