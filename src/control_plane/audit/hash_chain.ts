/**
 * One chain of the audit trail, checked link by link. The hash of an event covers its text, its
 * position and the hash before it, so whatever was edited, removed or moved shows where it stands;
 * what was rewritten as a whole shows against checkpoints that were kept outside the database.
 */
import { createHash } from 'node:crypto';

/** The chain of the events that belong to no tenant. */
export const chainOfNobody = '00000000-0000-0000-0000-000000000000';

/** An event as it stands in its chain. */
export type ChainedEvent = {
  position: number;
  seq: number;
  event: string;
  hash: Buffer;
  /**
   * A JSON array that begins with the position, as `audit_text` in `sql/control` writes it; null for an
   * event that is larger than any may be.
   */
  text: string | null;
};

/** What a chain ends with, as its head says; null when it has no head. */
export type ChainHead = { position: number; hash: Buffer };

/** Where a chain once was, by a witness outside the database. */
export type Checkpoint = { time: string; chain: string; position: number; hash: string };

export type Finding = {
  kind:
    | 'edited'
    | 'too large'
    | 'unreadable'
    | 'removed'
    | 'reordered'
    | 'truncated'
    | 'head missing'
    | 'head differs'
    | 'chain missing'
    | 'rewritten';
  chain: string;
  /** The slug, or the id of a tenant that nothing names any more. */
  tenant: string;
  position: number;
  /** Null where no event is. */
  seq: number | null;
  /** The whole finding in a sentence. */
  message: string;
};

export type ChainFacts = {
  chain: string;
  tenant: string;
  head: ChainHead | null;
  checkpoints: readonly Checkpoint[];
  /** Findings of one chain that are named; the others are counted. */
  mostFindings: number;
};

type Suspect = { event: ChainedEvent; previous: Buffer };

/** Is shown every event of a chain in order, then asked what it has found. */
export class ChainCheck {
  readonly #facts: ChainFacts;
  readonly #findings: Finding[] = [];
  /** Those ahead of the last event, by position. */
  readonly #checkpoints: Checkpoint[];
  /** Events that do not fit where they stand. */
  readonly #suspects: Suspect[] = [];
  #last: ChainedEvent | null = null;
  #rewritten = false;
  #broken = false;
  #unnamed = 0;

  constructor(facts: ChainFacts) {
    this.#facts = facts;
    this.#checkpoints = facts.checkpoints.toSorted((one, two) => one.position - two.position);
  }

  add(event: ChainedEvent): void {
    const last = this.#last?.position ?? 0;
    if (event.position <= last) {
      this.#note('edited', event, `(${event.event}) stands before the first place`);
      return;
    }
    if (event.position > Number.MAX_SAFE_INTEGER) {
      this.#note('edited', event, `(${event.event}) stands beyond every place that there can be`);
      return;
    }
    if (event.position > last + 1) this.#noteRemoved(last + 1, event.position - 1);
    else this.#checkLink(event, this.#last?.hash ?? firstHash(this.#facts.chain));
    this.#compare(event);
    this.#last = event;
  }

  /** The rest of the chain could not be read; what is known of it is known of its beginning alone. */
  breakOff(reason: string): void {
    const { position, seq } = this.#last ?? { position: 0, seq: null };
    this.#note('unreadable', { position, seq }, `is the last event that could be read: ${reason}`);
    this.#broken = true;
  }

  /** By position; `unnamed` counts those past the bound. */
  result(): { findings: Finding[]; unnamed: number } {
    this.#findOwners();
    if (!this.#broken) this.#checkEnd();
    const findings = this.#findings.sort((one, two) => one.position - two.position);
    return { findings, unnamed: this.#unnamed };
  }

  #checkLink(event: ChainedEvent, previous: Buffer): void {
    if (event.text === null) {
      this.#note('too large', event, `(${event.event}) is larger than the table lets any event be`);
      return;
    }
    if (fits(event, event.position, previous)) return;
    if (this.#suspects.length < this.#facts.mostFindings) this.#suspects.push({ event, previous });
    else this.#unnamed += 1;
  }

  /** Past the first checkpoint that differs, every later one does. */
  #compare({ position, seq, hash }: ChainedEvent): void {
    for (;;) {
      const [checkpoint] = this.#checkpoints;
      if (!checkpoint || checkpoint.position > position) return;
      this.#checkpoints.shift();
      const agrees = checkpoint.position < position || checkpoint.hash === hash.toString('hex');
      if (agrees || this.#rewritten) continue;
      this.#rewritten = true;
      const what = `was rewritten up to here: the checkpoint of ${checkpoint.time} has another hash`;
      this.#note('rewritten', { position, seq }, what);
    }
  }

  /**
   * For each place whose event does not fit, looks for the one that does among all that do not fit.
   * A moved event is found where it stands, an edited one fits nowhere, and who merely comes after
   * a moved one is none.
   */
  #findOwners(): void {
    const rightful = new Map<number, Buffer>();
    for (const { event, previous } of this.#suspects) {
      const { position } = event;
      const before = rightful.get(position - 1) ?? previous;
      const owner = this.#suspects.find((other) => fits(other.event, position, before))?.event;
      if (owner) rightful.set(position, owner.hash);
      if (!owner) this.#note('edited', event, `(${event.event}) was edited, or the one before it`);
      else if (owner !== event) {
        this.#note('reordered', owner, `(${owner.event}) was moved from position ${position}`);
      }
    }
  }

  #checkEnd(): void {
    const { head } = this.#facts;
    const end = this.#last ?? { position: 0, seq: null, hash: firstHash(this.#facts.chain) };
    if (!head) {
      if (this.#last) this.#note('head missing', end, 'has no head: nothing says where it ends');
      else this.#note('chain missing', end, 'is all there is: no event is left');
    } else if (head.position > end.position) {
      this.#note('truncated', end, `is the last event, but the head is at ${head.position}`);
    } else if (head.position < end.position || !head.hash.equals(end.hash)) {
      this.#note('head differs', end, 'is the last event, but the head is not its');
    }
    const beyond = this.#checkpoints.at(-1);
    if (beyond && !(head && head.position > end.position)) {
      const what = `is the last event, but on ${beyond.time} there were ${beyond.position}`;
      this.#note('truncated', end, what);
    }
  }

  #noteRemoved(from: number, to: number): void {
    const which = from === to ? 'was removed' : `was removed, and all up to position ${to}`;
    this.#note('removed', { position: from, seq: null }, which);
  }

  #note(
    kind: Finding['kind'],
    { position, seq }: { position: number; seq: number | null },
    what: string,
  ): void {
    const { chain, tenant, mostFindings } = this.#facts;
    if (this.#findings.length >= mostFindings) {
      this.#unnamed += 1;
      return;
    }
    const where = `position ${position}${seq === null ? '' : `, seq ${seq}`}`;
    const message = `${tenant}: ${where} ${what}`;
    this.#findings.push({ kind, chain, tenant, position, seq, message });
  }
}

/** What the first event's hash has before it. */
function firstHash(chain: string): Buffer {
  return sha256(Buffer.from(chain.replaceAll('-', ''), 'hex'));
}

function fits({ hash, text }: ChainedEvent, position: number, previous: Buffer): boolean {
  if (text === null) return false;
  const there = text.replace(/^\[-?\d+/, `[${position}`);
  return sha256(Buffer.concat([previous, Buffer.from(there)])).equals(hash);
}

function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}
