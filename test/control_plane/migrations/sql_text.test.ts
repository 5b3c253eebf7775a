import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { readSql, SqlTextError } from '../../../src/control_plane/migrations/sql_text.ts';

const values = { app: 'kennel_app', odd: `a"b'c` };

function statementsOf(text: string): string[] {
  return readSql(text).statements.map((one) => one.withVariables(values));
}

describe('readSql()', () => {
  it('replaces variables exactly where psql does', () => {
    const same = [
      `jsonb default '{"theme":"dark"}'`,
      `select 'a :"app" :app'`,
      `select "a :app"`,
      `select $$ :"app" $$`,
      `select $body$ :"app" $$ ; $other$ $body$`,
      `select E'\\' :app'`,
      `select e'a'\n  'b\\' :app'`,
      `select e'a' -- more\n 'b\\' :app'`,
      `select U&'\\0441 :app'`,
      `select u&"d :app"`,
      `select x::"char", y::app, z::int[]`,
      'select a[1:2], a[:n], a[1:"n"]',
      `select f(a := 1)`,
      `select 'it''s :app'`,
      `select "a"" :app"`,
      `select a$b$c`,
      `select a$$ from b$$`,
    ];
    for (const text of same) assert.deepEqual(statementsOf(text), [text]);
    assert.deepEqual(statementsOf(`grant a to :"app", :app, :'app'`), [
      `grant a to "kennel_app", kennel_app, 'kennel_app'`,
    ]);
    assert.deepEqual(statementsOf(`select :"odd", :'odd', a[:app]`), [
      `select "a""b'c", 'a"b''c', a[kennel_app]`,
    ]);
    assert.deepEqual(statementsOf(`select '\\' || :'app'`), [`select '\\' || 'kennel_app'`]);
  });

  it('removes comments, nested ones too', () => {
    assert.deepEqual(statementsOf(`select 1 -- it's :"nobody" ; \n + 2; -- note`), [
      'select 1  \n + 2',
    ]);
    assert.deepEqual(statementsOf(`/* a /* ' */ ; b */ select /* :"nobody" */ 1`), ['select   1']);
    assert.deepEqual(statementsOf('select 1 -- note'), ['select 1']);
    assert.deepEqual(statementsOf('-- nothing\n;;/* */;'), []);
  });

  it('ends a statement at a semicolon outside of quotes, parentheses and bodies', () => {
    const bodies = [
      `create function f() returns int language sql begin atomic select 1; select case when true then 1 end; end`,
      `create or replace procedure p() begin atomic select 1; end`,
      'create rule r as on insert to a do also (select 1; select 2)',
      `do $$ begin perform 1; end $$`,
      `select ';', ";", E'\\';'`,
    ];
    for (const body of bodies) {
      assert.deepEqual(statementsOf(`${body};\nselect 2`), [body, 'select 2']);
    }
    assert.deepEqual(statementsOf('create table begin (x int); select 1'), [
      'create table begin (x int)',
      'select 1',
    ]);
  });

  it('names the line of an open quote, an unknown variable and a psql command', () => {
    const wrong: [string, number, RegExp][] = [
      [`select 1;\nselect 'a\n\n`, 2, /begins with '/],
      [`\r\n\r\nselect "a`, 3, /begins with "/],
      [`select\n$a$ $b$`, 2, /begins with \$a\$/],
      [`select e'\\'`, 1, /begins with e'/],
      ['\n/* /* */', 2, /comment has no end/],
      [`select 1;\n\\set a b`, 2, /"\\set" is a command of psql/],
      [`select 1 \\gexec`, 1, /"\\gexec" is a command of psql/],
      [`\nselect :"nobody"`, 2, /:"nobody" has no value/],
      [`\nselect :'constructor'`, 2, /has no value/],
      ['\nselect \0', 2, /zero byte/],
    ];
    for (const [text, line, message] of wrong) {
      assert.throws(
        () => statementsOf(text),
        (error) =>
          error instanceof SqlTextError && error.line === line && message.test(error.message),
        text,
      );
    }
  });

  it('returns the line and the words of each statement', () => {
    const { statements } = readSql(`-- head\nselect 1;\n\n  /* x */ Alter Table "A b" Add c;`);
    assert.deepEqual(
      statements.map(({ line, words }) => [line, words]),
      [
        [2, ['select', '1']],
        [4, ['alter', 'table', '"A b"', 'add', 'c']],
      ],
    );
  });

  it('reads a string before a long line of dashes in linear time', () => {
    const text = `select 'x' ${'-'.repeat(200)}\n, 'y'`;
    assert.deepEqual(statementsOf(text), [`select 'x'  \n, 'y'`]);
  });

  it('splits random quoted texts, and keeps each as it is', () => {
    const quotings: ((text: string) => string)[] = [
      (text) => `'${text.replaceAll("'", "''")}'`,
      (text) => `e'${text.replaceAll(/['\\]/g, (found) => `\\${found}`)}'`,
      (text) => `"${text.replaceAll('"', '""')}"`,
      (text) => `$t$${text.replaceAll('$', '')}$t$`,
      (text) => `/* ${text.replaceAll(/[*/]/g, '')} */ 1`,
      (text) => `1 -- ${text.replaceAll(/[\n\r]/g, '')}\n`,
    ];
    const text = fc
      .array(
        fc.constantFrom(...`'";:$\\-*/\n\r aAeE`.split(''), ':app', ':"app"', '$$', '--', '/*'),
      )
      .map((parts) => parts.join(''));
    const statement = fc.tuple(fc.constantFrom(...quotings), text);
    fc.assert(
      fc.property(fc.array(statement, { minLength: 1, maxLength: 5 }), (drawn) => {
        const written = drawn.map(([quote, inner]) => `select ${quote(inner)}`);
        const found = statementsOf(written.join(';'));
        assert.equal(found.length, written.length);
        for (const [at, one] of written.entries()) {
          if (!/(\/\*|--)/.test(one)) assert.equal(found[at], one.trim());
        }
      }),
    );
  });
});
