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
  /** Where a rule writes the gradient of `x`; undefined when `x` needs none. */
  gradientOf(x: Tensor): GradientTarget | undefined;
  /** Gives `dout` to `x` unchanged, as the reverse pass of a sum does. */
  shareGradient(x: Tensor, dout: Tensor): void;
}

/** Whether gradients are recorded in a graph: only a TrainingGraph has `training` set. */
export function recordsGradients(graph: Graph): graph is ReverseGraph {
  return graph.training;
}

/** Records how `dout`, the gradient of `output`, reaches the inputs of `operation`, which `operandsOf` reads. */
export type GradientRule = (graph: ReverseGraph, operation: Operation, output: Tensor, dout: Tensor) => void;
