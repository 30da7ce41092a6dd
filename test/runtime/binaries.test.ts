/** Binaries that the host gives, as edge hosts do: only these are used, and what is not among them is said. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { EnvironmentError } from '../../src/errors.ts';
import { binaryModule, provideBinaries } from '../../src/runtime/binaries.ts';
import { Engine } from '../../src/runtime/engine.ts';

it('an engine runs on provided binaries, and says what they lack', async () => {
  const simd128 = new WebAssembly.Module(readFileSync(new URL('../../wasm/simd128.wasm', import.meta.url)));
  provideBinaries({ simd128 });
  const engine = await Engine.create({ threads: 3 });
  expect(engine.info).toMatchObject({
    binary: 'simd128',
    precision: 'exact',
    threads: 1,
    notes: [
      '1 thread instead of 3: only binaries of one thread were provided',
      'exact instead of fast: no relaxed binary was provided',
    ],
  });
  const address = await engine.allocate(64, 'a block');
  engine.write(address, Float32Array.of(1, 2));
  expect(await engine.readF32(address, 2)).toEqual(Float32Array.of(1, 2));
  engine.dispose();
  expect(await binaryModule('simd128')).toBe(simd128);
  await expect(binaryModule('relaxed')).rejects.toThrow(EnvironmentError);
  await expect(binaryModule('relaxed')).rejects.toThrow(
    'engine: expected the binary relaxed, got only simd128. Provide it too.',
  );
});
