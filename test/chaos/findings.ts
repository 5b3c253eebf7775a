/** What the checkers found, counted by kind, with the first of each in words. */

export const findingKinds = [
  'foreign row',
  'lost write',
  'resurrected',
  'stale read',
  'invented row',
  'doubled row',
  'misplaced row',
  'malformed answer',
  'odd answer',
  'late answer',
  'endless call',
] as const;

export type FindingKind = (typeof findingKinds)[number];

/** So many of a kind are kept in words. */
const examplesKept = 5;

export class Findings {
  readonly #found = new Map<FindingKind, { count: number; examples: string[] }>();

  report(kind: FindingKind, what: string): void {
    const found = this.#found.get(kind) ?? { count: 0, examples: [] };
    found.count += 1;
    if (found.examples.length < examplesKept) found.examples.push(what);
    this.#found.set(kind, found);
  }

  count(kind: FindingKind): number {
    return this.#found.get(kind)?.count ?? 0;
  }

  /** Empty when there was none. */
  examples(kind: FindingKind): readonly string[] {
    return this.#found.get(kind)?.examples ?? [];
  }
}
