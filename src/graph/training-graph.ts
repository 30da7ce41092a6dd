/** Recording for training: gradients, and the operations of the reverse pass. Programs that only generate never load it. */

import { ConfigError } from '../errors.ts';
import type { GradientTarget, ReverseGraph } from './gradients/rule.ts';
import { RULES } from './gradients/rules.ts';
import { Graph, type NewOperation, type Operation, type ParameterBlocks } from './graph.ts';
import { recordCopy } from './ops/copy.ts';
import { recordFill } from './ops/fill.ts';
import { columnsOf, firstColumnOf, type Region, type Tensor } from './tensor.ts';

/** A gradient that is being summed. Several tensors may share one until one of them must change it. */
interface Gradient {
  tensor: Tensor;
  readonly owners: Set<Tensor>;
}

export class TrainingGraph extends Graph implements ReverseGraph {
  override readonly training = true;
  /** The block of all gradients, laid out like the weights. */
  readonly gradients: Region;
  /** Operations whose output requires a gradient, in the order of the forward pass. */
  readonly #tape: Operation[] = [];
  readonly #gradients = new Map<Tensor, Gradient>();

  /** @throws ConfigError when the weights cannot be trained: all are f32 in the order of files, or frozen */
  constructor(parameters: ParameterBlocks, gradients: Region) {
    const { encoding } = parameters.table;
    if (encoding !== 'f32')
      throw new ConfigError(
        `model: expected trainable weights, got ${encoding === 'packed' ? 'f32' : encoding} packed for inference. Load the model with { trainable: true }.`,
      );
    super(parameters);
    this.gradients = gradients;
  }

  /** @throws ConfigError for an operation without a rule whose output requires a gradient: its gradient would silently be 0 */
  override record(operation: NewOperation): Operation {
    const differentiable = operation.output?.requiresGrad === true;
    if (differentiable && !RULES.has(operation.opcode))
      throw new ConfigError(
        `${operation.label}: expected an operation with a gradient, got opcode ${operation.opcode}, for which there is none. Add its rule to src/graph/gradients/rules.ts.`,
      );
    const recorded = super.record(operation);
    if (differentiable) this.#tape.push(recorded);
    return recorded;
  }

  /** Where an operation's backward pass writes the gradient of `x`; undefined when `x` needs none. */
  gradientOf(x: Tensor): GradientTarget | undefined {
    if (!x.requiresGrad) return undefined;
    if (x.base) return this.#gradientOfColumns(x, x.base);
    if (this.#isParameter(x))
      return { tensor: this.parameters.table.tensor(this.gradients, x.label), accumulate: true };
    let gradient = this.#gradients.get(x);
    if (!gradient) {
      gradient = { tensor: this.activation(`d ${x.label}`, x.rows, x.cols), owners: new Set([x]) };
      this.#gradients.set(x, gradient);
      return { tensor: gradient.tensor, accumulate: false };
    }
    if (gradient.owners.size > 1) {
      // Other tensors still share this gradient: x continues with a copy.
      const copy = this.activation(`d ${x.label}`, x.rows, x.cols);
      recordCopy(this, copy.label, copy, gradient.tensor, false);
      gradient.owners.delete(x);
      gradient = { tensor: copy, owners: new Set([x]) };
      this.#gradients.set(x, gradient);
    }
    return { tensor: gradient.tensor, accumulate: true };
  }

  /** The gradient of some columns is a part of that of all, which begins as 0. */
  #gradientOfColumns(x: Tensor, base: Tensor): GradientTarget | undefined {
    const target = this.gradientOf(base);
    if (!target) return undefined;
    if (!target.accumulate) recordFill(this, target.tensor.label, target.tensor, 0);
    return { tensor: columnsOf(target.tensor, firstColumnOf(x), x.cols), accumulate: true };
  }

  /** Gives `dout` to `x` unchanged, as the backward pass of a sum does: shared when it is the first contribution. */
  shareGradient(x: Tensor, dout: Tensor): void {
    if (!x.requiresGrad) return;
    const source = [...this.#gradients.values()].find((gradient) => gradient.tensor === dout);
    // The gradient of a view, also of one of all columns, is a part of its base's.
    if (source && !x.base && !this.#gradients.has(x) && !this.#isParameter(x)) {
      source.owners.add(x);
      this.#gradients.set(x, source);
      return;
    }
    const target = this.gradientOf(x);
    if (target) recordCopy(this, target.tensor.label, target.tensor, dout, target.accumulate);
  }

  /** Records the operations of the reverse pass. The gradients of outputs must have been started by a loss. */
  backward(): void {
    for (const operation of this.#tape.toReversed()) {
      const output = operation.output!;
      const gradient = this.#gradients.get(output);
      if (!gradient) continue; // no loss depends on it
      for (const part of partsOf(operation)) RULES.get(part.opcode)!(this, part, output, gradient.tensor);
      gradient.owners.delete(output);
    }
    this.#tape.length = 0;
  }

  #isParameter(x: Tensor): boolean {
    return this.parameters.table.has(x.label) && this.parameter(x.label) === x;
  }
}

/** The operations whose sum an output is, in the order in which they were recorded. */
function partsOf(operation: Operation): Operation[] {
  return operation.onTopOf ? [...partsOf(operation.onTopOf), operation] : [operation];
}
