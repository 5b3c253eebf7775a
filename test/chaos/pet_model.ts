/**
 * The possible states of one tenant's pets and their visits. Every write has its own mark, so a row
 * shows by itself its tenant, its pet, and whether it is out of date.
 *
 * An export and a restore are writes of unknown outcome to every pet: the one copies the pet to the
 * archive, the other copies it back. While one runs, each answer may be from before or after it. An
 * answer that shows that a restore has taken effect says so for all pets.
 */
import type { Anomalies, AnomalyKind } from './anomalies.ts';
import { type Mark, markIn, markText } from './mark.ts';
import { type Attempt, type Change, Possible } from './possible.ts';

/** Visits are known by the write that made them, in that order. */
export type Pet = { name: string; species: string; deleted: boolean; visits: readonly number[] };

/** A pet as a reply or a row shows it. */
export type SeenPet = { id: string; name: string; species: string; deleted: boolean };

/** A pet, and how the tenant's latest archive has it. */
type Stored = { pet: Pet | null; archived: Pet | null };

/** An export or a restore that runs. */
export type ArchiveWork = {
  readonly change: Change<Stored>;
  readonly attempt: Attempt;
  /** Whether an answer has shown that it has taken effect. */
  isSeen: boolean;
};

/** How a write ended: acknowledged, refused with a 404, or unknown. */
export type Outcome = 'done' | 'refused' | Attempt;

export type KnownPet = {
  readonly serial: number;
  /** Null until a reply has shown it: a create may succeed without an answer. */
  id: string | null;
  /** Writes so far, whatever their outcome. */
  writes: number;
  /** False while the first write is in progress. */
  known: boolean;
  /** Whether a restore may have removed it. Replies from before the restore may still show it. */
  mayBeReplaced: boolean;
  readonly now: Possible<Stored>;
};

/** All that a read may show. */
export type View = {
  /** Whether deleted pets are shown; both values when the setting is uncertain. */
  withDeleted: readonly boolean[];
  species?: string | undefined;
};

export const everything: View = { withDeleted: [true] };

/** More open writes than this would make too many possible worlds. */
const openWrites = 3;

export class PetModel {
  readonly slug: string;
  readonly #anomalies: Anomalies;
  readonly #pets = new Map<number, KnownPet>();
  #serial = 0;
  #work: ArchiveWork | null = null;
  /** Called between two calls of the tenant's writer. */
  #waiting: (() => void)[] = [];

  constructor(slug: string, anomalies: Anomalies) {
    this.slug = slug;
    this.#anomalies = anomalies;
  }

  /** Includes pets whose creation has an unknown outcome, but none that a restore has removed. */
  get size(): number {
    return [...this.#pets.values()].filter((pet) => !isGone(pet)).length;
  }

  /** Pets with an id, for reads. */
  readable(): KnownPet[] {
    return [...this.#pets.values()].filter(({ id }) => id !== null);
  }

  /** Pets with an id and with room for one more write of unknown outcome. */
  writable(): KnownPet[] {
    return this.readable().filter(({ now }) => now.open < openWrites);
  }

  newPet(): KnownPet {
    this.#serial += 1;
    const now = new Possible<Stored>({ pet: null, archived: null });
    if (this.#work && !this.#work.isSeen) now.doubtful(this.#work.change, this.#work.attempt);
    const made = { id: null, writes: 0, known: false, mayBeReplaced: false };
    const pet: KnownPet = { ...made, serial: this.#serial, now };
    this.#pets.set(pet.serial, pet);
    return pet;
  }

  /** From now on an export or a restore may take effect, at any one moment. */
  begin(kind: keyof typeof archiveWork): ArchiveWork {
    // No outage of Postgres tells that it is over.
    const attempt = { sentMs: Number.POSITIVE_INFINITY, answeredMs: null };
    const work = { change: archiveWork[kind], attempt, isSeen: false };
    for (const { now } of this.#pets.values()) now.doubtful(work.change, attempt);
    this.#work = work;
    return work;
  }

  /**
   * Records whether it has taken effect, once the call that is in progress has its answer: that call may have been
   * executed before.
   */
  end(work: ArchiveWork, hasHappened: boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(() => {
        this.#learn(work, hasHappened);
        this.#work = null;
        resolve();
      });
    });
  }

  /** Called by the tenant's writer when none of its calls is in progress. */
  betweenCalls(): void {
    const work = this.#work;
    const pets = [...this.#pets.values()];
    if (work && pets.some(({ now }) => now.hasHappened(work.attempt))) this.#learn(work, true);
    for (const tell of this.#waiting.splice(0)) tell();
  }

  #learn(work: ArchiveWork, hasHappened: boolean): void {
    if (work.isSeen) {
      if (!hasHappened) this.#report('resurrected', `${this.slug}: rows of a restore that failed`);
      return;
    }
    work.isSeen = hasHappened;
    for (const pet of this.#pets.values()) {
      pet.now.learn(work.attempt, hasHappened);
      pet.mayBeReplaced = true;
    }
  }

  /** The mark of the pet's next write. */
  nextMark(pet: KnownPet): Mark {
    pet.writes += 1;
    return { slug: this.slug, serial: pet.serial, write: pet.writes };
  }

  /** Records how a write of a pet ended. */
  wrote(pet: KnownPet, petChange: Change<Pet | null>, outcome: Outcome): void {
    const { slug } = this;
    const change = ofStored(petChange);
    pet.known = true;
    if (outcome === 'done') {
      if (!pet.now.done(change)) this.#report('resurrected', `${slug}: wrote ${show(pet)}`);
    } else if (outcome === 'refused') {
      if (!pet.now.refused(change)) this.#report('lost write', `${slug}: 404 for ${show(pet)}`);
    } else {
      pet.now.doubtful(change, outcome);
    }
  }

  /** Checks a pet that was shown, or was missing, against its possible states. */
  check(pet: KnownPet, seen: SeenPet | null, view: View): void {
    const before = show(pet);
    const kind = judge(pet, seen, view);
    if (kind) this.#report(kind, `${this.slug}: saw ${JSON.stringify(seen)} of ${before}`);
  }

  /** Checks a whole list, or a whole table, against all possible pets. */
  checkAll(items: readonly SeenPet[], view: View): void {
    const shown = new Map<KnownPet, SeenPet>();
    for (const item of items) {
      const pet = this.ownerOf(item.name, JSON.stringify(item));
      if (pet && shown.has(pet)) this.#report('doubled row', `${item.name} is listed twice`);
      else if (pet) shown.set(pet, item);
    }
    for (const pet of this.#pets.values()) this.check(pet, shown.get(pet) ?? null, view);
  }

  /** Checks all visits of a pet, by their reasons, against the possible ones. */
  checkVisits(pet: KnownPet, reasons: readonly string[], view: View): void {
    const owners = reasons.map((reason) => this.ownerOf(reason, `a visit of ${pet.serial}`));
    if (owners.includes(null)) return;
    const before = show(pet);
    const kind = judgeVisits(pet, { reasons, view, astray: owners.some((one) => one !== pet) });
    if (kind) this.#report(kind, `${this.slug}: saw visits ${reasons} of ${before}`);
  }

  /** The pet that a mark names; null, and reported, when this tenant never wrote the mark. */
  ownerOf(text: string, where: string): KnownPet | null {
    const mark = markIn(text);
    const what = `${this.slug}: "${text}" in ${where}`;
    if (mark?.slug !== this.slug) this.#report('foreign row', what);
    const pet = mark?.slug === this.slug ? this.#pets.get(mark.serial) : undefined;
    if (pet && mark && mark.write <= pet.writes) return pet;
    if (mark?.slug === this.slug) this.#report('invented row', what);
    return null;
  }

  /** Writes that are over will not happen any more; pets that were never created are removed. */
  settle(isOver: (attempt: Attempt) => boolean): void {
    for (const [serial, pet] of this.#pets) {
      pet.now.settle(isOver);
      const never = pet.now.open === 0 && isGone(pet);
      if (pet.known && never && !pet.mayBeReplaced) this.#pets.delete(serial);
    }
  }

  #report(kind: AnomalyKind, what: string): void {
    this.#anomalies.report(kind, what);
  }
}

/** The state of a pet after a write. */
export const petChanges = {
  create: (mark: Mark, species: string): Change<Pet | null> => {
    const made = { name: markText(mark), species, deleted: false, visits: [] };
    return (state) => (state === null ? made : undefined);
  },
  patch: (mark: Mark, species: string): Change<Pet | null> =>
    ofLiving((pet) => ({ ...pet, name: markText(mark), species })),
  remove: ofLiving((pet) => ({ ...pet, deleted: true })),
  visit: ({ write }: Mark): Change<Pet | null> =>
    ofLiving((pet) => ({ ...pet, visits: [...pet.visits, write].sort((a, b) => a - b) })),
};

const archiveWork = {
  export: ({ pet }: Stored): Stored => ({ pet, archived: pet }),
  restore: ({ archived }: Stored): Stored => ({ pet: archived, archived }),
};

/** A write changes no archive. */
function ofStored(change: Change<Pet | null>): Change<Stored> {
  return ({ pet, archived }) => {
    const changed = change(pet);
    return changed === undefined ? undefined : { pet: changed, archived };
  };
}

function petsOf({ now }: KnownPet): (Pet | null)[] {
  return now.states().map(({ pet }) => pet);
}

/** Whether there is certainly no such pet, not even a deleted one. */
function isGone(known: KnownPet): boolean {
  return petsOf(known).every((pet) => pet === null);
}

function ofLiving(change: (pet: Pet) => Pet): Change<Pet | null> {
  return (state) => (state === null || state.deleted ? undefined : change(state));
}

/** Null when this is a possible state of the pet. */
function judge(pet: KnownPet, seen: SeenPet | null, view: View): AnomalyKind | null {
  pet.id ??= seen?.id ?? null;
  if (seen !== null && pet.id !== seen.id) return 'doubled row';
  if (pet.now.seen(({ pet: state }) => looksLike(state, seen, view))) return null;
  if (seen === null) return 'lost write';
  const gone = petsOf(pet).every((state) => state === null || state.deleted);
  return gone ? 'resurrected' : 'stale read';
}

function judgeVisits(
  pet: KnownPet,
  { reasons, view, astray }: { reasons: readonly string[]; view: View; astray: boolean },
): AnomalyKind | null {
  if (astray) return 'misplaced row';
  const seen = reasons.map((reason) => markIn(reason)?.write ?? 0).sort((a, b) => a - b);
  const fits = (state: Pet | null) =>
    state !== null && isShown(state, view) && `${state.visits}` === `${seen}`;
  if (pet.now.seen((stored) => fits(stored.pet))) return null;
  const lacks = (state: Pet | null) => state?.visits.some((write) => !seen.includes(write));
  return petsOf(pet).every(lacks) ? 'lost write' : 'resurrected';
}

function looksLike(state: Pet | null, seen: SeenPet | null, view: View): boolean {
  if (seen === null) return state === null || isHidden(state, view);
  return (
    state !== null &&
    isShown(state, view) &&
    state.name === seen.name &&
    state.species === seen.species &&
    state.deleted === seen.deleted
  );
}

function isShown({ deleted, species }: Pet, view: View): boolean {
  return (!deleted || view.withDeleted.includes(true)) && (view.species ?? species) === species;
}

function isHidden({ deleted, species }: Pet, view: View): boolean {
  return (deleted && view.withDeleted.includes(false)) || (view.species ?? species) !== species;
}

function show(pet: KnownPet): string {
  return `pet ${pet.serial}, which may be ${JSON.stringify(petsOf(pet))}`;
}
