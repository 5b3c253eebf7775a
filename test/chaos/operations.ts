/**
 * The operations of the actors, drawn at random before any answer is known: the same seed gives the
 * same stream of operations, whatever the answers are.
 */

import { type Way, ways } from '../support/client.ts';
import { choose } from '../support/random.ts';

/** How often each kind occurs. */
const weights = {
  createPet: 18,
  readPet: 16,
  patchPet: 14,
  removePet: 6,
  listPets: 10,
  addVisit: 10,
  listVisits: 6,
  readSettings: 4,
  putSetting: 4,
  deleteSetting: 2,
  addUser: 1,
  listUsers: 2,
  createKey: 2,
  useKey: 4,
  revokeKey: 1,
  nameOtherTenant: 4,
  askForOtherPet: 4,
  useWrongKey: 2,
} as const;

export type OperationKind = keyof typeof weights;

export type Operation = {
  kind: OperationKind;
  way: Way;
  /** From 0 to 1: selects one of the items that exist by then. */
  pick: number;
  /** From 0 to 1: selects any other option. */
  detail: number;
};

const deck = Object.entries(weights).flatMap(([kind, weight]) =>
  Array.from({ length: weight }, () => kind),
);

export function drawOperation(random: () => number): Operation {
  const kind = choose(deck.filter(isKind), random);
  return { kind, way: choose(ways, random), pick: random(), detail: random() };
}

function isKind(text: string): text is OperationKind {
  return Object.hasOwn(weights, text);
}

/** The item at a share of the list; undefined when there is none. */
export function pickFrom<Item>(items: readonly Item[], share: number): Item | undefined {
  return items[Math.floor(share * items.length)];
}
