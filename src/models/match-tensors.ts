/** Which tensor of a checkpoint is which parameter of a model. */
import { CheckpointError } from '../errors.ts';
import type { TensorNames } from './family.ts';

/** A tensor that a model has, under the name that it has in the files of the whole model. */
export interface TensorShape {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Names, shapes and files of weights: what matching reads. */
export interface ShapedNames {
  readonly names: readonly string[];
  info(name: string): { readonly shape: readonly number[]; readonly file: string };
}

/** How a checkpoint's tensors match those of a model. */
export interface MatchedTensors {
  /** Name in the model → name in the checkpoint; none is missing. */
  readonly found: ReadonlyMap<string, string>;
  /** Tensors that carry nothing to learn: masks, positions, a table under its second name. */
  readonly ignored: readonly string[];
  /** Everything else, such as the head of another task. */
  readonly unexpected: readonly string[];
}

/** Names as they are. */
const PLAIN_NAMES: TensorNames = { prefix: '', aliases: {}, buffers: /^$/ };

/**
 * Matches a model's tensors with its weights, names and shapes.
 * @param weights the open weights
 * @param wanted the tensors of the model
 * @param names how names in files may differ
 * @throws CheckpointError naming file, tensor and both shapes
 */
export function matchTensors(
  weights: ShapedNames,
  wanted: readonly TensorShape[],
  names: TensorNames = PLAIN_NAMES,
): MatchedTensors {
  const present = new Set(weights.names);
  const found = new Map<string, string>();
  const missing: string[] = [];
  for (const { name } of wanted) {
    const there = [name, ...otherNames(name, names)].find((other) => present.has(other));
    if (there === undefined) missing.push(name);
    else found.set(name, there);
  }
  const hint = 'Check that config.json and weights belong together.';
  if (missing.length > 0) {
    const more = missing.length > 1 ? ` and ${missing.length - 1} more` : '';
    const [first] = weights.names;
    const file = first === undefined ? 'weights' : weights.info(first).file;
    throw new CheckpointError(
      `${file}: expected tensor ${JSON.stringify(missing[0])}${more}, got none of that name. ${hint}`,
      { file },
    );
  }
  for (const { name, shape } of wanted) {
    const there = found.get(name)!;
    const info = weights.info(there);
    if (info.shape.length !== shape.length || shape.some((size, i) => info.shape[i] !== size))
      throw new CheckpointError(
        `${info.file}: expected tensor ${JSON.stringify(there)} to have shape [${shape.join(', ')}], got [${info.shape.join(', ')}]. ${hint}`,
        { file: info.file },
      );
  }
  const used = new Set(found.values());
  const again = new Set([...found.keys()].flatMap((name) => otherNames(name, names)));
  const rest = weights.names.filter((name) => !used.has(name));
  const isIgnored = (name: string) => names.buffers.test(name) || again.has(name);
  return { found, ignored: rest.filter(isIgnored), unexpected: rest.filter((name) => !isIgnored(name)) };
}

/** The names under which files may hold a tensor beside its own, the likelier first. */
function otherNames(name: string, { prefix, aliases }: TensorNames): readonly string[] {
  const own = aliases[name] ?? [];
  return prefix !== '' && name.startsWith(prefix) ? [name.slice(prefix.length), ...own] : own;
}
