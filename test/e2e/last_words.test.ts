/** The output of a server that ends because of a bug. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { startKennel } from '../support/kennel.ts';
import { testDatabase } from '../support/postgres.ts';

it('a fault that ends the process loses no earlier line of the log', async (t) => {
  const database = await testDatabase();
  t.after(() => database.drop());
  const fault = `process.once('SIGTERM', () => setImmediate(() => { throw new Error('a fault') }))`;
  const kennel = await startKennel(database.url, {
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(fault)}`,
  });
  kennel.signal('SIGTERM');
  const { code, stdout, stderr } = await kennel.ended;
  assert.equal(code, 1, stderr);
  assert.match(stderr, /a fault/);
  assert.match(stdout, /"msg":"stopping"/);
});
