/**
 * The models as graphs, without a kernel: their operations in f64 (test/graph/reference.ts) against transformers. When
 * oracle.test.ts fails and this does not, a kernel is wrong; when both fail, a model or the reverse pass is.
 */

import { describe, expect, it } from 'vitest';
import { OP_COPY } from '../../src/abi/index.ts';
import { openWeights } from '../../src/formats/index.ts';
import type { Plan } from '../../src/graph/plan.ts';
import type { Region } from '../../src/graph/tensor.ts';
import { TrainingGraph } from '../../src/graph/training-graph.ts';
import { matchTensors } from '../../src/models/match-tensors.ts';
import { asCausalLM, blueprint } from '../../src/models/model.ts';
import { parseConfig } from '../../src/models/read-config.ts';
import { writeRows } from '../../src/nn/rows.ts';
import { fixedRows } from '../../src/nn/whole-sequences.ts';
import { causalLanguageModel } from '../../src/objectives/index.ts';
import { ReferenceMachine } from '../graph/reference.ts';
import { maxError, maxMagnitude, ORACLES, readOracle, sequenceOf } from './oracles.ts';

/** What a program writes to, on a reference machine. */
function planOf(machine: ReferenceMachine): Plan {
  return { write: (region: Region, values: Float32Array) => machine.values(region).set(values) } as unknown as Plan;
}

describe.each(ORACLES)('%s', (name) => {
  async function open() {
    const oracle = await readOracle(name);
    const { family, config } = await parseConfig(await oracle.directory.readText('config.json'));
    const model = asCausalLM(blueprint(family, config), name);
    const weights = await openWeights(oracle.directory);
    const block = new Float64Array(model.parameters.blockSize);
    const { found } = matchTensors(weights, model.parameters.list, family.names);
    for (const { name: parameter, offset } of model.parameters.list)
      await weights.stream(found.get(parameter)!, (values, element) => block.set(values, offset + element));
    await weights.close();
    return { oracle, model, block };
  }

  it('has these hidden states and logits', async () => {
    const { oracle, model, block } = await open();
    const graph = model.graph();
    const { ids } = oracle;
    const inputs = fixedRows(graph, ids.length, ids[0]!.length);
    const states = model.body.record(graph, inputs).map((state) => graph.keep(state));
    const logits = model.head.record(graph, states.at(-1)!);
    const machine = new ReferenceMachine(graph);
    machine.values(model.weights).set(block);
    writeRows(
      planOf(machine),
      inputs,
      ids.map((tokens) => ({ tokens })),
    );
    machine.run();
    expect(maxError(machine.values(logits.storage), oracle.logits)).toBeLessThan(1e-5);
    if (oracle.hidden.length > 0) expect(states.length).toBe(oracle.hidden.length);
    oracle.hidden.forEach((state, layer) => {
      expect(maxError(machine.values(states[layer]!.storage), state), `hidden ${layer}`).toBeLessThan(1e-5);
    });
  });

  it('has this loss and these gradients, and copies none of them', async () => {
    const { oracle, model, block } = await open();
    const gradients: Region = { label: 'gradients', bytes: block.length * 4, address: undefined };
    const graph = new TrainingGraph(model.blocks, gradients);
    const batch = oracle.ids.map(sequenceOf);
    const program = causalLanguageModel(model).record(graph, {
      batchSize: batch.length,
      length: oracle.ids[0]!.length,
    });
    graph.backward();
    expect(graph.operations.filter(({ opcode }) => opcode === OP_COPY)).toEqual([]);
    const machine = new ReferenceMachine(graph);
    machine.values(model.weights).set(block);
    program.write(planOf(machine), batch);
    const count = program.count(batch);
    machine.values(program.scale)[0] = 1 / count;
    machine.run();
    const loss = machine.values(program.losses).reduce((sum, row) => sum + row, 0) / count;
    expect(loss).toBeCloseTo(oracle.loss, 5);
    for (const [parameter, expected] of oracle.gradients) {
      const { offset, size } = model.parameters.get(parameter);
      const actual = machine.values(gradients).subarray(offset, offset + size);
      expect(maxError(actual, expected) / maxMagnitude(expected), parameter).toBeLessThan(1e-5);
    }
    if (oracle.gradients.size > 0) expect(oracle.gradients.size).toBe(model.parameters.list.length);
  });
});
