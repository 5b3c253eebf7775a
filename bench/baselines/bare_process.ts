/** Baseline *bare*: `node:http` and a constant. No server of JSON on `node:http` is faster. */
import { serve } from './pet_server.ts';

const [, , constant = '{}'] = process.argv;
const body: unknown = JSON.parse(constant);

serve(async () => ({ status: 200, body }));
