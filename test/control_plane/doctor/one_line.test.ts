import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { oneLine } from '../../../src/control_plane/doctor/one_line.ts';

const cases: Readonly<Record<string, [statement: string, line: string]>> = {
  'joins lines': ['drop\n  table x', 'drop table x'],
  'joins the lines of a function': [
    'as $f$ begin\r\n  return; end $f$',
    'as $f$ begin return; end $f$',
  ],
  'keeps printable names and strings': [
    String.raw`drop table "a\ ""b" 'c\'`,
    String.raw`drop table "a\ ""b" 'c\'`,
  ],
  'escapes a name': [
    'drop table "\\a""\n \u{e0001}"',
    String.raw`drop table U&"\\a""\000a \+0e0001"`,
  ],
  'escapes a string': ["select '\\a''\n\u{e0001}'", String.raw`select E'\\a''\u000a\U000e0001'`],
  'escapes a string that has escapes': ["select E'\\\\a\\'\n'", String.raw`select E'\\a\'\u000a'`],
  'is not misled by quotes in quotes': [
    'select "\'$a$\n" \'"\n\' "$a$\n"',
    String.raw`select U&"'$a$\000a" E'"\u000a' U&"$a$\000a"`,
  ],
};

describe('oneLine()', () => {
  for (const [name, [statement, line]] of Object.entries(cases)) {
    it(name, () => assert.equal(oneLine(statement), line));
  }
});
