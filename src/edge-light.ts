/**
 * The package for Vercel's edge runtime, by the export condition `edge-light`: as workerd.ts, in the form of import by
 * which its bundlers know a compiled module.
 */
import relaxed from '../wasm/relaxed.wasm?module';
import simd128 from '../wasm/simd128.wasm?module';
import { provideBinaries } from './runtime/binaries.ts';

provideBinaries({ simd128, relaxed });

export * from './index.ts';
