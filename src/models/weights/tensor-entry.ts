/** Parameters as files hold them: what saving writes. */
import { convertFromF32, type TensorEntry } from '../../formats/index.ts';
import type { Parameter } from '../../graph/parameters.ts';
import { isStored, type ParameterBlock, shapeInFile } from './parameter-block.ts';
import { bytesOf, valuesOf } from './parameter-values.ts';

/** A parameter as a tensor to be written to a file. */
export function entryOf(block: ParameterBlock, parameter: Parameter, name = parameter.name): TensorEntry {
  const { encoding } = parameter;
  const shape = shapeInFile(parameter);
  if (isStored(encoding)) return { name, dtype: 'U8', shape, chunks: () => bytesOf(block, parameter) };
  const dtype = encoding === 'f16' ? 'F16' : encoding === 'bf16' ? 'BF16' : 'F32';
  return {
    name,
    dtype,
    shape,
    async *chunks() {
      for await (const values of valuesOf(block, parameter)) yield convertFromF32(dtype, values);
    },
  };
}
