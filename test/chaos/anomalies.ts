/** The anomalies that the checkers found, counted by kind; the first of each kind in words. */

export const anomalyKinds = [
  'foreign row',
  'lost write',
  'resurrected',
  'stale read',
  'invented row',
  'doubled row',
  'misplaced row',
  'malformed answer',
  'odd answer',
  'needless refusal',
  'late answer',
  'endless call',
] as const;

export type AnomalyKind = (typeof anomalyKinds)[number];

/** How many anomalies of each kind are kept in words. */
const examplesKept = 5;

export class Anomalies {
  readonly #found = new Map<AnomalyKind, { count: number; examples: string[] }>();

  report(kind: AnomalyKind, what: string): void {
    const found = this.#found.get(kind) ?? { count: 0, examples: [] };
    found.count += 1;
    if (found.examples.length < examplesKept) found.examples.push(what);
    this.#found.set(kind, found);
  }

  count(kind: AnomalyKind): number {
    return this.#found.get(kind)?.count ?? 0;
  }

  /** Empty when there was none. */
  examples(kind: AnomalyKind): readonly string[] {
    return this.#found.get(kind)?.examples ?? [];
  }
}
