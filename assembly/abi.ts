/** What src/abi/ says of descriptors, operations and encodings, for kernels. */
export * from '../src/abi/context';
export * from '../src/abi/encodings';
export * from '../src/abi/opcodes';
export * from '../src/abi/operations';
