/** The constants of src/abi/ (descriptors, operations, encodings) for kernels. */
export * from '../src/abi/context';
export * from '../src/abi/encodings';
export * from '../src/abi/opcodes';
export * from '../src/abi/operations';
