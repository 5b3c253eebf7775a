/** Text of others for a terminal: no character of it forges a line, hides text, or controls the terminal. */

/** Control characters, invisible format characters, and separators of lines and paragraphs. */
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * Returns the text with an escape instead of each unprintable character.
 *
 * @param escapedOf returns the escape of a character that has this number in hexadecimal digits, at least four.
 * @example printable('a\u001b[2J') // 'a\\u001b[2J'
 */
export function printable(text: string, escapedOf: (hex: string) => string = escaped): string {
  return text.replaceAll(unprintable, (char) =>
    escapedOf((char.codePointAt(0) ?? 0).toString(16).padStart(4, '0')),
  );
}

/** Returns the text in one line: messages of Postgres and of others may have several. */
export function inOneLine(text: string): string {
  return text.replaceAll(/[\s\p{Cc}]+/gu, ' ').trim();
}

function escaped(hex: string): string {
  return hex.length === 4 ? `\\u${hex}` : `\\u{${hex}}`;
}
