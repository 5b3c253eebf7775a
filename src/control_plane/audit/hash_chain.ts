/**
 * Checks one chain of the audit trail. The hash of an event covers its text, its position and the previous
 * hash, so an edited, removed or moved event is found at its position. A chain that was rewritten as a
 * whole does not match the checkpoints kept outside the database.
 */
import { createHash } from 'node:crypto';

/** The chain of the events that belong to no tenant. */
export const tenantlessChain = '00000000-0000-0000-0000-000000000000';

/** An event of a chain. */
export type ChainedEvent = {
  position: number;
  seq: number;
  event: string;
  hash: Buffer;
  /**
   * A JSON array that begins with the position, as `audit_text` in `sql/control` writes it; null for an
   * event that is larger than the table allows.
   */
  text: string | null;
};

/** The end of a chain according to `control.audit_chains`. */
export type ChainHead = { position: number; hash: Buffer };

/** An earlier end of a chain, recorded outside the database. */
export type Checkpoint = { time: string; chain: string; position: number; hash: string };

/** A place at which a chain of the audit trail is not as it was written. */
export type ChainFault = {
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
  /** The slug, or the id of a tenant whose slug is unknown. */
  tenant: string;
  position: number;
  /** Null when there is no event. */
  seq: number | null;
  /** The whole fault in a sentence. */
  message: string;
};

export type ChainFacts = {
  chain: string;
  tenant: string;
  head: ChainHead | null;
  checkpoints: readonly Checkpoint[];
  /** Faults of one chain that are listed; the others are counted. */
  maxFaults: number;
};

type Suspect = { event: ChainedEvent; previous: Buffer };

/** Receives the events of a chain in order with `add`; then `result` returns its faults. */
export class ChainCheck {
  readonly #facts: ChainFacts;
  readonly #faults: ChainFault[] = [];
  /** The checkpoints after the last event, by position. */
  readonly #checkpoints: Checkpoint[];
  /** Events whose hash does not match their position. */
  readonly #suspects: Suspect[] = [];
  #last: ChainedEvent | null = null;
  #rewritten = false;
  #broken = false;
  #omitted = 0;

  constructor(facts: ChainFacts) {
    this.#facts = facts;
    this.#checkpoints = facts.checkpoints.toSorted((one, two) => one.position - two.position);
  }

  add(event: ChainedEvent): void {
    const last = this.#last?.position ?? 0;
    if (event.position <= last) {
      this.#note(
        'edited',
        event,
        `(${event.event}) is before the first position, or repeats that of another event`,
      );
      return;
    }
    if (event.position > Number.MAX_SAFE_INTEGER) {
      this.#note('edited', event, `(${event.event}) is beyond the last possible position`);
      return;
    }
    if (event.position > last + 1) this.#noteRemoved(last + 1, event.position - 1);
    else this.#checkLink(event, this.#last?.hash ?? firstHash(this.#facts.chain));
    this.#compare(event);
    this.#last = event;
  }

  /** Ends the check early, because the rest of the chain cannot be read. */
  abort(reason: string): void {
    const { position, seq } = this.#last ?? { position: 0, seq: null };
    this.#note('unreadable', { position, seq }, `is the last event that could be read: ${reason}`);
    this.#broken = true;
  }

  /** The faults by position; `omitted` counts those beyond `maxFaults`. */
  result(): { faults: ChainFault[]; omitted: number } {
    this.#findOwners();
    if (!this.#broken) this.#checkEnd();
    const faults = this.#faults.sort((one, two) => one.position - two.position);
    return { faults, omitted: this.#omitted };
  }

  #checkLink(event: ChainedEvent, previous: Buffer): void {
    if (event.text === null) {
      this.#note('too large', event, `(${event.event}) is larger than the table allows`);
      return;
    }
    if (fits(event, event.position, previous)) return;
    if (this.#suspects.length < this.#facts.maxFaults) this.#suspects.push({ event, previous });
    else this.#omitted += 1;
  }

  /** Only the first checkpoint that differs is noted, because all later ones differ too. */
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
   * Separates moved events from edited ones: for each position whose event does not match, looks among them
   * for the one that does. If it is another event, that one was moved; if there is none, an
   * event was edited. An event that only follows a moved one matches its own position, and is no fault.
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
      if (this.#last) this.#note('head missing', end, 'is the last event, but the head is missing');
      else this.#note('chain missing', end, 'is the end: every event is missing');
    } else if (head.position > end.position) {
      this.#note('truncated', end, `is the last event, but the head is at ${head.position}`);
    } else if (head.position < end.position || !head.hash.equals(end.hash)) {
      this.#note('head differs', end, 'is the last event, but the head differs');
    }
    const beyond = this.#checkpoints.at(-1);
    if (beyond && !(head && head.position > end.position)) {
      const what = `is the last event, but on ${beyond.time} the last position was ${beyond.position}`;
      this.#note('truncated', end, what);
    }
  }

  #noteRemoved(from: number, to: number): void {
    const which = from === to ? 'was removed' : `was removed, and all up to position ${to}`;
    this.#note('removed', { position: from, seq: null }, which);
  }

  #note(
    kind: ChainFault['kind'],
    { position, seq }: { position: number; seq: number | null },
    what: string,
  ): void {
    const { chain, tenant, maxFaults } = this.#facts;
    if (this.#faults.length >= maxFaults) {
      this.#omitted += 1;
      return;
    }
    const where = `position ${position}${seq === null ? '' : `, seq ${seq}`}`;
    const message = `${tenant}: ${where} ${what}`;
    this.#faults.push({ kind, chain, tenant, position, seq, message });
  }
}

/** The hash before the first event: that of the chain's id. */
function firstHash(chain: string): Buffer {
  return sha256(Buffer.from(chain.replaceAll('-', ''), 'hex'));
}

function fits({ hash, text }: ChainedEvent, position: number, previous: Buffer): boolean {
  if (text === null) return false;
  const moved = text.replace(/^\[-?\d+/, `[${position}`);
  return sha256(Buffer.concat([previous, Buffer.from(moved)])).equals(hash);
}

function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}
