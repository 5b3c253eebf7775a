/**
 * The `Content-Type` of a body: JSON in UTF-8. Parameters are allowed, and those that JSON does not define
 * have no effect (RFC 9110, sections 5.6.6 and 8.3.1; RFC 8259, section 11).
 */

const token = "[\\w!#$%&'*+.^`|~-]+";
const quoted = '"(?:[\\t !#-\\[\\]-~\\x80-\\xff]|\\\\[\\t -~\\x80-\\xff])*"';
const parameter = `${token}=(?:${token}|${quoted})`;

/** Blanks behind a semicolon belong to a parameter: if they could stand alone, too, a match could fail very slowly. */
const json = new RegExp(
  `^application/(?:json|[\\w!#$&^.+-]+\\+json)((?:[ \\t]*;(?:[ \\t]*${parameter})?)*)[ \\t]*$`,
  'i',
);

const parameters = new RegExp(`(${token})=(${token}|${quoted})`, 'g');

/**
 * Whether a body of this type is read as JSON.
 *
 * @example isJson('application/json; charset="UTF-8"; version=1') // true
 * @example isJson('application/json; charset=latin1')             // false
 */
export function isJson(type: string): boolean {
  const [, tail] = json.exec(type) ?? [];
  if (tail === undefined) return false;
  return [...tail.matchAll(parameters)].every(
    ([, name = '', value = '']) => name.toLowerCase() !== 'charset' || /^"?utf-?8"?$/i.test(value),
  );
}
