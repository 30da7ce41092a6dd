/** Rewrites model.bin in the folder argv[3] for ever, in small pieces, until the test kills it. */
import { openDirectory } from '../../src/files/index.ts';

const directory = await openDirectory(process.argv[3]!);

function* pieces(fill: number): Generator<Uint8Array> {
  for (let i = 0; i < 400; i++) yield new Uint8Array(10_000).fill(fill);
}

for (let round = 0; ; round++) {
  await directory.write('model.bin', pieces(round & 255));
  if (round === 0) process.stdout.write('first write done\n');
}
