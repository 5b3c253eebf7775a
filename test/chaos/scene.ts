/** The context of an actor: its tenant, the tenant's model, the other tenants, and a client. */

import * as v from 'valibot';
import type { Anomalies } from './anomalies.ts';
import type { Answer, Caller, Order } from './caller.ts';
import type { TenantModel } from './model.ts';
import type { Operation } from './operations.ts';
import type { Outcome } from './pet_model.ts';

/** A tenant of the run, with the key of its first admin. */
export type Player = {
  slug: string;
  id: string;
  apiKey: string;
  model: TenantModel;
};

export type Scene = {
  player: Player;
  others: readonly Player[];
  caller: Caller;
  anomalies: Anomalies;
};

export type Action = (scene: Scene, operation: Operation) => Promise<unknown>;

/** At most this many pages of a list are read. */
const mostPages = 200;

/** Sends a request in the tenant's own name with its own key, which must be known. */
export async function askOwn(
  { player, caller, anomalies }: Scene,
  line: string,
  order: Pick<Order, 'way'> & { body?: unknown },
): Promise<Answer> {
  const answer = await caller.ask(line, { ...player, ...order });
  if (answer.status === 401) anomalies.report('odd answer', `${line} of ${player.slug}: 401`);
  return answer;
}

export function outcomeOf({ status, attempt }: Answer): Outcome {
  if (status >= 200 && status < 300) return 'done';
  return status === 404 ? 'refused' : attempt;
}

/** The content of a body; null, and reported, when the body has another shape. */
export function read<Output>(
  { anomalies, player }: Scene,
  shape: v.GenericSchema<unknown, Output>,
  body: unknown,
): Output | null {
  const { success, output } = v.safeParse(shape, body);
  if (success) return output;
  anomalies.report('malformed answer', `${player.slug}: ${JSON.stringify(body)}`);
  return null;
}

export type Walk<Item> = { status: number; items: Item[]; pages: number[] };

/** Reads a list to its end. The status is that of the first page that was not a 200. */
export async function walk<Item>(
  scene: Scene,
  path: string,
  { way, shape }: Pick<Order, 'way'> & { shape: v.GenericSchema<unknown, Item> },
): Promise<Walk<Item>> {
  const pageShape = v.object({ items: v.array(shape), next_cursor: v.nullable(v.string()) });
  const items: Item[] = [];
  const pages: number[] = [];
  let cursor = '';
  while (pages.length < mostPages) {
    const { status, body } = await askOwn(scene, `GET ${path}${cursor}`, { way });
    if (status !== 200) return { status, items, pages };
    const page = read(scene, pageShape, body);
    if (!page) return { status: 0, items, pages };
    items.push(...page.items);
    pages.push(page.items.length);
    if (page.next_cursor === null) return { status, items, pages };
    cursor = `${path.includes('?') ? '&' : '?'}cursor=${page.next_cursor}`;
  }
  scene.anomalies.report('malformed answer', `${path} has no end`);
  return { status: 0, items, pages };
}
