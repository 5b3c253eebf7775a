/**
 * An attack, and one attempt at it: every answer to the attacker and the victim is kept, and the
 * judge decides from these answers and from the victim's rows.
 */

import { bearer, type Headers, send } from '../support/client.ts';
import type { Lab, LabTenant, Victim } from './lab.ts';
import type { LayerName } from './layer.ts';
import type { Setting } from './setting.ts';

export type Attack = {
  /** Completes "stops …". */
  name: string;
  /**
   * Layers that each stop the attack alone, in the order in which it meets them: without all of
   * them it breaches. A setting that is absent does not offer the attack. Without layers it is tried on the whole
   * server alone: another setting has its control.
   */
  layers: Readonly<Partial<Record<Setting, readonly LayerName[]>>>;
  run(attempt: Attempt): Promise<unknown>;
};

/** An answer as its reader sees it. */
export type Seen = { status: number; headers: string; text: string };

export type Store = 'pets' | 'users';

export class Attempt {
  readonly lab: Lab;
  readonly answers: Seen[] = [];
  readonly shownToVictim: Seen[] = [];
  readonly pairs: [Seen, Seen][] = [];

  constructor(lab: Lab) {
    this.lab = lab;
  }

  get attacker(): LabTenant {
    return this.lab.attacker;
  }

  get victim(): Victim {
    return this.lab.victim;
  }

  /** A request of the attacker in its own name. */
  async call(line: string, body?: unknown, headers: Headers = {}): Promise<Seen> {
    const { slug, apiKey } = this.attacker;
    return this.send(line, { 'x-tenant-id': slug, ...bearer(apiKey), ...headers }, body);
  }

  /** A request of the attacker with these headers and no others. */
  async send(line: string, headers: Headers, body?: unknown): Promise<Seen> {
    return this.keep(seen(await send(this.lab.server.url, line, body, headers)));
  }

  /** The text lands in the middle of a statement. */
  search(text: string, of: Store = 'pets'): Promise<Seen> {
    return this.call(`GET /api/lab/search?of=${of}&text=${encodeURIComponent(text)}`);
  }

  /** The text is the statement; several of them share a transaction. */
  report(statements: string | string[], of: Store = 'pets'): Promise<Seen> {
    return this.call('POST /api/lab/report', { statements: [statements].flat(), of });
  }

  /** A normal request of the victim. */
  async asVictim(line: string): Promise<Seen> {
    const shown = seen(await this.victim.call(line));
    this.shownToVictim.push(shown);
    return shown;
  }

  /** Keeps data that the attacker got in some other way. */
  keep(answer: Seen): Seen {
    this.answers.push(answer);
    return answer;
  }

  /** Two answers that must not differ, because a difference reveals that an item exists. */
  mustBeAlike(one: Seen, other: Seen): void {
    this.pairs.push([one, other]);
  }
}

/** Rows of an answer of the vulnerable routes; none when the request was refused. */
export function rowsIn({ text }: Seen): Record<string, unknown>[] {
  const body: unknown = text === '' ? null : JSON.parse(text);
  const rows = isRecord(body) ? body.rows : null;
  return Array.isArray(rows) ? rows.filter(isRecord) : [];
}

function seen({ status, headers, text }: Awaited<ReturnType<typeof send>>): Seen {
  return { status: status ?? 0, headers: JSON.stringify(headers), text };
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
