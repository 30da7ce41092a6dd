/** Adding an adapter to the weight of its layer. */
import * as op from '../../abi/index.ts';
import { scale } from '../../graph/ops/elementwise.ts';
import { recordGemm } from '../../graph/ops/matmul.ts';
import { productSize } from '../../graph/parameters.ts';
import { Plan } from '../../graph/plan.ts';
import type { CausalLM } from '../model.ts';
import type { Adapter } from './adapters.ts';

/**
 * Changes the weight of a layer: W += scale · (B · A)ᵀ for W [in, out], W += scale · B · A for W [out, in].
 * @param model the model with adapters, over `base`
 * @throws CheckpointError when a sum has no place in the encoding of W
 */
export async function mergeLayer(model: CausalLM, base: CausalLM, layer: string, adapter: Adapter): Promise<void> {
  const { a, b, scale: factor } = adapter;
  const name = `${layer}.weight`;
  const parameter = base.parameters.get(name);
  const { inputs, outputs } = productSize(parameter);
  const graph = model.graph();
  const [low, high] = [graph.parameter(a), graph.parameter(b)];
  const k = high.cols;
  const merged = graph.region(name, inputs * outputs);
  const scaled = scale(graph, b, high, factor);
  if (parameter.product === 'in-out') {
    const [out, flags] = [graph.view(merged, inputs, outputs), op.FLAG_TRANSPOSE_A | op.FLAG_TRANSPOSE_B];
    recordGemm(graph, name, { out, a: low, b: scaled, m: inputs, n: outputs, k, flags: flags | op.FLAG_ACCUMULATE });
  } else {
    const out = graph.view(merged, outputs, inputs);
    recordGemm(graph, name, { out, a: scaled, b: low, m: outputs, n: inputs, k, flags: op.FLAG_ACCUMULATE });
  }
  const plan = await Plan.compile(base.engine, graph, `merging ${layer}`);
  try {
    plan.write(merged, await base.readParameter(name));
    await plan.run();
    await base.writeParameter(name, await plan.readRegion(merged));
  } finally {
    plan.dispose();
  }
}
