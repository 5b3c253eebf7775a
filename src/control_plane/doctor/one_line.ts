/** Statements in one line. The names in them may be those of foreign objects, with any characters. */
import { printable } from '../../kernel/printable_text.ts';

/** Identifiers, strings with and without escapes, strings between dollars, and line ends outside of these. */
const parts = /"(?:[^"]|"")*"|\be'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|(\$\w*\$).*?\1|\s*\n\s*/gis;

const lineEnds = /\s*\n\s*/g;

/**
 * Returns a statement of the same meaning in one line of printable characters, or a shell command in one line.
 * Line ends in strings between dollars become blanks, too: these are our functions, without comments.
 *
 * @example oneLine('drop table\n  "a\nb"') // 'drop table U&"a\\000ab"'
 */
export function oneLine(statement: string): string {
  return printable(statement.replaceAll(parts, partInOneLine));
}

function partInOneLine(part: string): string {
  if (part.startsWith('"')) return identifierInOneLine(part);
  if (part.startsWith("'")) return stringInOneLine(part);
  return /^e'/i.test(part) ? withEscapes(part) : part.replaceAll(lineEnds, ' ');
}

function identifierInOneLine(quoted: string): string {
  const escapeOf = (hex: string) => (hex.length === 4 ? `\\${hex}` : `\\+${hex.padStart(6, '0')}`);
  const escaped = printable(quoted.replaceAll('\\', '\\\\'), escapeOf);
  return printable(quoted) === quoted ? quoted : `U&${escaped}`;
}

function stringInOneLine(quoted: string): string {
  return printable(quoted) === quoted ? quoted : `E${withEscapes(quoted.replaceAll('\\', '\\\\'))}`;
}

/** Escapes as in a string that begins with E. */
function withEscapes(quoted: string): string {
  return printable(quoted, (hex) =>
    hex.length === 4 ? `\\u${hex}` : `\\U${hex.padStart(8, '0')}`,
  );
}
