/** What the plan's writer (TypeScript) and its interpreter (AssemblyScript) agree on. Imports nothing. */
export * from './context.ts';
export * from './encodings.ts';
export * from './operations.ts';
