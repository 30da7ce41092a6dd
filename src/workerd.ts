/**
 * The package for workerd (Cloudflare Workers), by the export condition `workerd`: nothing is compiled, fetched or read
 * there, so the binaries are imported statically. Those of one thread, since there are no workers to wait for.
 */
import relaxed from '../wasm/relaxed.wasm';
import simd128 from '../wasm/simd128.wasm';
import { provideBinaries } from './runtime/binaries.ts';

provideBinaries({ simd128, relaxed });

export * from './index.ts';
