/** Texts that end a list, or change its number of elements, where they are not quoted. */
export const hostileTexts: readonly string[] = [
  '',
  ' ',
  'NULL',
  'a,b',
  '{}',
  '{"a"}',
  '"',
  '\\',
  '\\"',
  'a\\',
  "'; drop table pets; --",
  '$1',
  ' two\r\n\tlines ',
  'é🐶',
];
