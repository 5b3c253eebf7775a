/**
 * All possible states of one thing. A write of unknown outcome may have happened, may not have
 * happened, or may still happen: a stopped backend commits when it resumes. So a thing is a set of
 * worlds, each with a state and the writes that are still open in it, and every answer leaves only
 * the worlds that it fits.
 */

/** The state after a write; undefined if the write is refused. */
export type Change<State> = (state: State) => State | undefined;

/** A write that was sent and whose outcome is unknown. */
export type Attempt = {
  sentMs: number;
  /** When the server gave up on it, for instance with a 503; null when the socket was lost. */
  answeredMs: number | null;
};

type Open<State> = { serial: number; change: Change<State>; attempt: Attempt };

type World<State> = { state: State; open: readonly Open<State>[] };

/** States must be JSON with one order of keys: states are compared by their text. */
export class Possible<State> {
  #worlds: readonly World<State>[];
  #serial = 0;

  constructor(state: State) {
    this.#worlds = [{ state, open: [] }];
  }

  /** Writes of unknown outcome; the number of worlds grows fast with them. */
  get open(): number {
    return Math.max(...this.#worlds.map(({ open }) => open.length));
  }

  /** The possible states. */
  states(): State[] {
    return distinct(this.#reachable().map(({ state }) => ({ state, open: [] }))).map(
      ({ state }) => state,
    );
  }

  /** Records an acknowledged write. False when it could not have been accepted. */
  done(change: Change<State>): boolean {
    return this.#keep(
      this.#reachable().flatMap(({ state, open }) => {
        const after = change(state);
        return after === undefined ? [] : [{ state: after, open }];
      }),
    );
  }

  /** Records a refused write. False when it could not have been refused. */
  refused(change: Change<State>): boolean {
    return this.#keep(this.#reachable().filter(({ state }) => change(state) === undefined));
  }

  /** Records a write of unknown outcome. */
  doubtful(change: Change<State>, attempt: Attempt): void {
    this.#serial += 1;
    const late = { serial: this.#serial, change, attempt };
    this.#worlds = this.#worlds.map(({ state, open }) => ({ state, open: [...open, late] }));
  }

  /** Records that the outcome of a doubtful write has become known. False when no possible state fits it. */
  learn(attempt: Attempt, hasHappened: boolean): boolean {
    return this.#keep(
      this.#reachable()
        .filter(({ open }) => includes(open, attempt) !== hasHappened)
        .map(({ state, open }) => ({ state, open: open.filter((one) => one.attempt !== attempt) })),
    );
  }

  /** Whether a doubtful write must have happened: no other state fits the answers. */
  hasHappened(attempt: Attempt): boolean {
    return this.#worlds.every(({ open }) => !includes(open, attempt));
  }

  /** Records a read. False when no possible state fits it. */
  seen(fits: (state: State) => boolean): boolean {
    return this.#keep(this.#reachable().filter(({ state }) => fits(state)));
  }

  /** Writes that are over have happened by now, or never will. */
  settle(isOver: (attempt: Attempt) => boolean): void {
    this.#worlds = distinct(
      this.#reachable().map(({ state, open }) => ({
        state,
        open: open.filter(({ attempt }) => !isOver(attempt)),
      })),
    );
  }

  #keep(worlds: readonly World<State>[]): boolean {
    if (worlds.length > 0) this.#worlds = distinct(worlds);
    return worlds.length > 0;
  }

  /** The worlds after any of the open writes, in any order. */
  #reachable(): readonly World<State>[] {
    let reached = this.#worlds;
    for (let fresh = reached; fresh.length > 0; ) {
      fresh = fresh.flatMap(({ state, open }) =>
        open.flatMap((write) => {
          const after = write.change(state);
          return after === undefined
            ? []
            : [{ state: after, open: open.filter((other) => other !== write) }];
        }),
      );
      reached = distinct([...reached, ...fresh]);
    }
    return reached;
  }
}

function includes(open: readonly { attempt: Attempt }[], attempt: Attempt): boolean {
  return open.some((one) => one.attempt === attempt);
}

function distinct<State>(worlds: readonly World<State>[]): World<State>[] {
  const byText = new Map(
    worlds.map((world) => {
      const serials = world.open.map(({ serial }) => serial);
      return [JSON.stringify([world.state, serials]), world];
    }),
  );
  return [...byText.values()];
}
