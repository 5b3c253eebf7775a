/**
 * The model that every answer is checked against: the possible states of one tenant's pets, visits,
 * settings, users and keys. One actor at a time writes to a tenant and records in the model how
 * each write ended.
 */
import { type SettingKey, settingsFrom } from '../../src/kernel/settings.ts';
import type { Anomalies } from './anomalies.ts';
import { type Outcome, PetModel, type View } from './pet_model.ts';
import { type Attempt, Possible } from './possible.ts';

type Value = string | number | boolean;

export type KnownUser = { readonly email: string; id: string | null; now: Possible<boolean> };

export type KnownKey = {
  readonly id: string;
  readonly text: string;
  readonly user: KnownUser;
  /** Whether the key is accepted. */
  readonly now: Possible<boolean>;
};

export class TenantModel {
  readonly slug: string;
  readonly pets: PetModel;
  readonly users: KnownUser[] = [];
  readonly keys: KnownKey[] = [];
  readonly #anomalies: Anomalies;
  readonly #settings = new Map(
    Object.entries(settingsFrom({})).map(([key, fallback]: [string, Value]) => [
      key,
      { fallback, now: new Possible<Value>(fallback) },
    ]),
  );

  constructor(slug: string, anomalies: Anomalies) {
    this.slug = slug;
    this.pets = new PetModel(slug, anomalies);
    this.#anomalies = anomalies;
  }

  /** Whether reads may show deleted pets. */
  get view(): View {
    const values = this.#setting('include_deleted_pets').now.states();
    return { withDeleted: values.map((value) => value === true) };
  }

  /** The possible sizes of a page without `limit`. */
  get pageSizes(): Value[] {
    return this.#setting('default_page_size').now.states();
  }

  /** Writes of a setting whose outcome is unknown. */
  openOf(key: SettingKey): number {
    return this.#setting(key).now.open;
  }

  /** Records how the write of a value ended; null removes the value. */
  set(key: SettingKey, value: Value | null, outcome: Outcome): void {
    const { fallback, now } = this.#setting(key);
    const change = () => value ?? fallback;
    if (outcome === 'done') now.done(change);
    else if (outcome === 'refused') this.#anomalies.report('odd answer', `no setting ${key}`);
    else now.doubtful(change, outcome);
  }

  checkSettings(seen: Readonly<Record<string, unknown>>): void {
    for (const [key, { now }] of this.#settings) {
      const states = JSON.stringify(now.states());
      if (now.seen((value) => value === seen[key])) continue;
      this.#anomalies.report(
        'stale read',
        `${this.slug}: ${key} is ${JSON.stringify(seen[key])} and may be ${states}`,
      );
    }
  }

  newUser(email: string): KnownUser {
    const user: KnownUser = { email, id: null, now: new Possible(false) };
    this.users.push(user);
    return user;
  }

  /** Checks the whole list of users, except those created with the tenant, against the model. */
  checkUsers(seen: readonly { id: string; email: string }[]): void {
    for (const { email } of seen) {
      if (this.users.some((user) => user.email === email)) continue;
      this.#anomalies.report('foreign row', `${this.slug}: the user ${email}`);
    }
    for (const user of this.users) {
      const row = seen.find(({ email }) => email === user.email);
      user.id ??= row?.id ?? null;
      if (user.now.seen((there) => there === (row !== undefined))) continue;
      this.#anomalies.report('lost write', `${this.slug}: the user ${user.email}`);
    }
  }

  /** Records a key from a reply. A key that was created without an answer stays unknown. */
  newKey(key: Pick<KnownKey, 'id' | 'text' | 'user'>): void {
    this.keys.push({ ...key, now: new Possible(true) });
  }

  /** Records how the revocation of a key ended. */
  revoked({ id, now }: KnownKey, outcome: Outcome): void {
    const { revoke } = keyChanges;
    if (outcome === 'done') {
      if (!now.done(revoke)) this.#anomalies.report('resurrected', `${this.slug}: the key ${id}`);
    } else if (outcome === 'refused') {
      if (!now.refused(revoke)) this.#anomalies.report('lost write', `${this.slug}: the key ${id}`);
    } else {
      now.doubtful(revoke, outcome);
    }
  }

  /** Records whether a key was accepted. */
  tried(key: KnownKey, opened: boolean): void {
    if (key.now.seen((live) => live === opened)) return;
    this.#anomalies.report(
      opened ? 'resurrected' : 'lost write',
      `${this.slug}: the key ${key.id} ${opened ? 'opens again' : 'is not known'}`,
    );
  }

  /** Writes that are over will not happen any more. */
  settleUsers(isOver: (attempt: Attempt) => boolean): void {
    for (const { now } of this.users) now.settle(isOver);
  }

  /** The same for the server's caches, which may be stale for a while. */
  settleKept(isOver: (attempt: Attempt) => boolean): void {
    for (const { now } of this.#settings.values()) now.settle(isOver);
    for (const { now } of this.keys) now.settle(isOver);
  }

  #setting(key: SettingKey): { fallback: Value; now: Possible<Value> } {
    const setting = this.#settings.get(key);
    if (!setting) throw new Error(`Cannot find the setting ${key}: the model has none`);
    return setting;
  }
}

export const keyChanges = {
  create: () => true,
  revoke: (live: boolean) => (live ? false : undefined),
};
