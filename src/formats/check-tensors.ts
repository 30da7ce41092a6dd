/** Which tensors of a checkpoint are missing, left over or of another shape, in words; the usual case is that of tensor-names.ts. */
import { CheckpointError } from '../errors.ts';
import {
  EMBEDDINGS,
  isShape,
  resolveTensorName,
  type ShapedNames,
  type TensorShape,
  TIED_NAME,
} from './tensor-names.ts';

/** Buffers of old checkpoints: causal masks, and the numbers 0, 1, 2 … */
const BUFFER = /^(transformer\.)?(h\.\d+\.attn\.(bias|masked_bias)|position_ids)$/;

/** How a checkpoint's tensors match those of a model. */
export interface ResolvedNames {
  /** Wanted name → name in the checkpoint. */
  readonly found: ReadonlyMap<string, string>;
  /** Wanted names that are missing. */
  readonly missing: readonly string[];
  /** Tensors that carry nothing to learn: masks, positions, the tied output layer. */
  readonly ignored: readonly string[];
  /** Everything else, such as the head of another task. */
  readonly unexpected: readonly string[];
}

/**
 * Matches all tensors of a model with those of a checkpoint.
 * @param names names in the checkpoint.
 * @param wanted full names in the model.
 * @returns who is who, and who is left over.
 */
export function resolveTensorNames(names: Iterable<string>, wanted: Iterable<string>): ResolvedNames {
  const present = new Set(names);
  const found = new Map<string, string>();
  const missing: string[] = [];
  for (const name of wanted) {
    const there = resolveTensorName(present, name);
    if (there === undefined) missing.push(name);
    else found.set(name, there);
  }
  const used = new Set(found.values());
  const hasEmbedding = [...EMBEDDINGS].some((name) => found.has(name));
  const ignored: string[] = [];
  const unexpected: string[] = [];
  for (const name of present) {
    if (used.has(name)) continue;
    const isIgnorable = BUFFER.test(name) || (name === TIED_NAME && hasEmbedding);
    (isIgnorable ? ignored : unexpected).push(name);
  }
  return { found, missing, ignored, unexpected };
}

/**
 * Matches a model's tensors with its weights, names and shapes.
 * @param weights the open weights.
 * @param wanted the tensors of the model.
 * @returns the match; nothing is missing.
 * @throws CheckpointError naming file, tensor and both shapes.
 */
export function checkTensors(weights: ShapedNames, wanted: readonly TensorShape[]): ResolvedNames {
  const resolved = resolveTensorNames(
    weights.names,
    wanted.map((tensor) => tensor.name),
  );
  const hint = 'Check that config.json and weights belong together.';
  const [missing] = resolved.missing;
  if (missing !== undefined) {
    const more = resolved.missing.length > 1 ? ` and ${resolved.missing.length - 1} more` : '';
    const file = weights.names[0] === undefined ? 'weights' : weights.info(weights.names[0]).file;
    throw new CheckpointError(
      `${file}: expected tensor ${JSON.stringify(missing)}${more}, got none of that name. ${hint}`,
      {
        file,
      },
    );
  }
  for (const { name, shape } of wanted) {
    const there = resolved.found.get(name)!;
    const info = weights.info(there);
    if (!isShape(info.shape, shape)) {
      throw new CheckpointError(
        `${info.file}: expected tensor ${JSON.stringify(there)} to have shape [${shape.join(', ')}], got [${info.shape.join(', ')}]. ${hint}`,
        { file: info.file },
      );
    }
  }
  return resolved;
}

/** A tensor that is not quantized, where config.json says that it is. */
export function notStored(file: string, name: string, encoding: string, dtype: string): CheckpointError {
  return new CheckpointError(
    `${file}: expected ${name} as U8, since config.json says ${encoding}, got ${dtype}. Quantize the model again.`,
    { file },
  );
}
