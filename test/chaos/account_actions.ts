/**
 * How an actor works on settings, users and keys, and how it tries to reach those of other tenants.
 * Whatever fault is active, such an attempt gets a 404 or a 401.
 */
import * as v from 'valibot';
import { isSettingKey, type SettingKey } from '../../src/kernel/settings.ts';
import { keyChanges } from './model.ts';
import { type Operation, type OperationKind, pickFrom } from './operations.ts';
import { type Action, askOwn, outcomeOf, read, type Scene, walk } from './scene.ts';

/** Values to choose from. */
const values: { [Key in SettingKey]: readonly (string | number | boolean)[] } = {
  include_deleted_pets: [true, false],
  default_page_size: [10, 20, 50],
  welcome_message: ['good day', 'good night', ''],
};

/** More of them would only make the lists longer. */
const mostItems = 40;
/** As in the model of the pets. */
const openWrites = 3;

const settingsShape = v.record(v.string(), v.unknown());
const userShape = v.object({ id: v.string(), email: v.string(), role: v.string() });
const keyShape = v.object({ id: v.string(), user_id: v.string(), api_key: v.string() });
const meShape = v.object({
  tenant: v.object({ slug: v.string() }),
  user: v.object({ id: v.string() }),
});

type AccountOperation = Extract<
  OperationKind,
  | `${string}Setting${'' | 's'}`
  | `${string}User${'' | 's'}`
  | `${string}Key`
  | 'askForOtherPet'
  | 'nameOtherTenant'
>;

export const accountActions: Record<AccountOperation, Action> = {
  readSettings: async (scene, operation) => {
    const { status, body } = await askOwn(scene, 'GET /api/config', operation);
    const seen = status === 200 ? read(scene, settingsShape, body) : null;
    if (seen) scene.player.model.checkSettings(seen);
  },

  putSetting: async (scene, operation) => {
    const key = settingOf(scene, operation);
    if (!key) return;
    const value = pickFrom(values[key], operation.detail) ?? '';
    const line = `PUT /api/config/${key}`;
    const answer = await askOwn(scene, line, { ...operation, body: { value } });
    scene.player.model.set(key, value, outcomeOf(answer));
  },

  deleteSetting: async (scene, operation) => {
    const key = settingOf(scene, operation);
    if (!key) return;
    const answer = await askOwn(scene, `DELETE /api/config/${key}`, operation);
    scene.player.model.set(key, null, outcomeOf(answer));
  },

  addUser: async (scene, operation) => {
    const { model } = scene.player;
    if (model.users.length >= mostItems) return;
    const user = model.newUser(`${model.slug}.${model.users.length}@chaos.example`);
    const body = { email: user.email, role: 'member' };
    const answer = await askOwn(scene, 'POST /api/users', { ...operation, body });
    const made = answer.status === 201 ? read(scene, userShape, answer.body) : null;
    if (made) {
      user.id = made.id;
      user.now.done(keyChanges.create);
    } else {
      user.now.doubtful(keyChanges.create, answer.attempt);
    }
  },

  listUsers: async (scene, operation) => {
    await checkUsers(scene, operation);
  },

  createKey: async (scene, operation) => {
    const { model } = scene.player;
    const user = pickFrom(
      model.users.filter(({ id }) => id !== null),
      operation.pick,
    );
    if (!user || model.keys.length >= mostItems) return;
    const answer = await askOwn(scene, `POST /api/users/${user.id}/keys`, operation);
    if (answer.status === 404) {
      scene.anomalies.report('lost write', `${model.slug}: 404 for the user ${user.email}`);
    }
    const made = answer.status === 201 ? read(scene, keyShape, answer.body) : null;
    if (made) model.newKey({ id: made.id, text: made.api_key, user });
  },

  useKey: async (scene, operation) => {
    const { model } = scene.player;
    const key = pickFrom(model.keys, operation.pick);
    if (!key) return;
    const order = { ...operation, slug: model.slug, apiKey: key.text };
    const { status, body } = await scene.caller.ask('GET /api/me', order);
    if (status === 401 || status === 200) model.tried(key, status === 200);
    const me = status === 200 ? read(scene, meShape, body) : null;
    if (me && (me.tenant.slug !== model.slug || me.user.id !== key.user.id)) {
      scene.anomalies.report('foreign row', `${model.slug}: ${JSON.stringify(me)} for a key`);
    }
  },

  revokeKey: async (scene, operation) => {
    const { keys } = scene.player.model;
    const key = pickFrom(
      keys.filter(({ now }) => now.open < openWrites),
      operation.pick,
    );
    if (!key) return;
    const answer = await askOwn(scene, `DELETE /api/keys/${key.id}`, operation);
    scene.player.model.revoked(key, outcomeOf(answer));
  },

  nameOtherTenant: async (scene, operation) => {
    const other = pickFrom(scene.others, operation.pick);
    if (!other) return;
    const { apiKey } = scene.player;
    const order = { ...operation, slug: other.slug, apiKey };
    await assertRefused(scene, 'GET /api/pets', { order, statuses: [404] });
  },

  askForOtherPet: async (scene, operation) => {
    const other = pickFrom(scene.others, operation.pick);
    const pet = pickFrom(other?.model.pets.readable() ?? [], operation.detail);
    if (!pet) return;
    const line = pickFrom(intrusions, (operation.detail * 97) % 1) ?? intrusions[0];
    const [method, tail, body] = line;
    const order = { ...operation, ...scene.player, body };
    await assertRefused(scene, `${method} /api/pets/${pet.id}${tail}`, { order, statuses: [404] });
  },

  useWrongKey: async (scene, operation) => {
    const { slug, apiKey } = scene.player;
    const last = apiKey.endsWith('0') ? '1' : '0';
    const order = { ...operation, slug, apiKey: `${apiKey.slice(0, -1)}${last}` };
    await assertRefused(scene, 'GET /api/pets', { order, statuses: [401, 429] });
  },
};

const intrusions = [
  ['GET', '', undefined],
  ['PATCH', '', { name: 'stolen' }],
  ['DELETE', '', undefined],
  ['GET', '/visits', undefined],
  ['POST', '/visits', { visited_on: '2026-01-01', reason: 'stolen' }],
] as const;

/** All users except those that were created with the tenant. */
export async function checkUsers(scene: Scene, { way }: Pick<Operation, 'way'>): Promise<boolean> {
  const path = '/api/users?limit=100';
  const { status, items } = await walk(scene, path, { way, shape: userShape });
  if (status !== 200) return false;
  scene.player.model.checkUsers(items.filter(({ role }) => role === 'member'));
  return true;
}

async function assertRefused(
  { caller, anomalies }: Scene,
  line: string,
  { order, statuses }: { order: Parameters<Scene['caller']['ask']>[1]; statuses: number[] },
): Promise<void> {
  const answer = await caller.ask(line, order);
  if ([...statuses, 503, 0].includes(answer.status)) return;
  const kind = answer.status < 300 ? 'foreign row' : 'odd answer';
  anomalies.report(kind, `${line} as ${order.slug}: ${answer.status}`);
}

/** A setting with room for one more write of unknown outcome. */
function settingOf({ player: { model } }: Scene, { pick }: Operation): SettingKey | undefined {
  const keys = Object.keys(values).filter(isSettingKey);
  const key = pickFrom(keys, pick);
  return key !== undefined && model.openOf(key) < openWrites ? key : undefined;
}
