/** Names that state the tenant, the row and the write that made it: `acme#7.2`. */

export type Mark = { slug: string; serial: number; write: number };

/** @example markText({ slug: 'acme', serial: 7, write: 2 }) // 'acme#7.2' */
export function markText({ slug, serial, write }: Mark): string {
  return `${slug}#${serial}.${write}`;
}

/** Null for a text that is not a mark. */
export function markIn(text: string): Mark | null {
  const [, slug, serial, write] = /^([a-z0-9-]+)#(\d+)\.(\d+)$/.exec(text) ?? [];
  return slug === undefined ? null : { slug, serial: Number(serial), write: Number(write) };
}
