/** The files of `sql/doctor` are for people with psql, too: their heads say all that is needed. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';

const scopes =
  /^-- Run in: (the main database|each (database(, (as a superuser|for .+))?|session|placement))( \(|\.$)/m;

const names = (await readdir('sql/doctor')).filter((name) => name.endsWith('.sql'));

describe('the files of sql/doctor', () => {
  for (const name of names) {
    it(`say where they are run and name their variables: ${name}`, async () => {
      const text = await readFile(`sql/doctor/${name}`, 'utf8');
      const [head = '', ...queries] = text.split('\n\n');
      assert.match(head, scopes);
      const declared = new Set(head.slice(head.indexOf('-- Variables:')).match(/\w+/g));
      const used = queries.join('\n').matchAll(/(?<!:):'?([A-Za-z_]+)/g);
      const undeclared = [...used].map(([, variable = '']) => variable).filter(isOurs);
      assert.deepEqual(
        undeclared.filter((variable) => !declared.has(variable)),
        [],
      );
    });
  }
});

/** psql knows those in capitals by itself. */
function isOurs(variable: string): boolean {
  return variable !== variable.toUpperCase();
}
