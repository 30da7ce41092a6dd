/** What the plan's writer (TypeScript) and its interpreter (AssemblyScript) agree on. */
export * from './context.ts';
export * from './encodings.ts';
export * from './inference-operations.ts';
export * from './opcodes.ts';
export * from './operations.ts';
