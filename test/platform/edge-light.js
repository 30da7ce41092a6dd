/** The suite with the entry for Vercel's edge runtime, in workerd, which knows compiled modules by the same form. */
// @ts-nocheck: it imports what the build makes, whose types are those of src/ once more
import * as lanewise from '../../dist/edge-light.js';
import { run } from './suite.js';

export default {
  /** @param {Request} request */
  async fetch(request) {
    const threads = Number(new URL(request.url).searchParams.get('threads'));
    try {
      return Response.json(await run(lanewise, threads));
    } catch (error) {
      return new Response(String(/** @type {Error} */ (error).stack), { status: 500 });
    }
  },
};
