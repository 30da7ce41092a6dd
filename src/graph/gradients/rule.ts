/** What the rules of this folder are: functions that record how a gradient passes through one kind of operation. */
import type { Graph, Operation } from '../graph.ts';
import type { Tensor } from '../tensor.ts';

/** Where a gradient is to be written: into `tensor`, on top of what is there when `accumulate`. */
export interface GradientTarget {
  readonly tensor: Tensor;
  readonly accumulate: boolean;
}

/** A graph while its reverse pass is recorded (training-graph.ts). */
export interface ReverseGraph extends Graph {
  /** Where a rule writes the gradient of `x`; undefined when nobody wants it. */
  gradientOf(x: Tensor): GradientTarget | undefined;
  /** Gives `dout` to `x` unchanged, as the reverse pass of a sum does. */
  shareGradient(x: Tensor, dout: Tensor): void;
}

/** Whether gradients are recorded in a graph: a TrainingGraph is the only one that says `training`. */
export function recordsGradients(graph: Graph): graph is ReverseGraph {
  return graph.training;
}

/** Records how `dout`, the gradient of `output`, reaches what `operation` read. `operandsOf` says what that was. */
export type GradientRule = (graph: ReverseGraph, operation: Operation, output: Tensor, dout: Tensor) => void;
