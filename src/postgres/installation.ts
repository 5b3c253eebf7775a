/**
 * One Kennel in one Postgres: the names of its roles, schemas and databases, and the passwords and
 * seal keys that follow from its one secret. Roles belong to the whole server, so their names carry
 * the database's name: two installations on one server do not meet.
 */
import { createHash, createHmac } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { TenantRef } from '../kernel/ports.ts';
import type { TenantId } from '../kernel/tenant.ts';
import { connectionOptions } from './connection_options.ts';
import { type Keywords, keywordsIn } from './connection_url.ts';
import { dedicatedContext } from './seal.ts';
import { type OwnSettings, type Target, targetOf } from './session_url.ts';

/** Schemas of the main database. A tenant's own database has `kernel` and `tenant`. */
export const schemas = {
  kernel: 'kernel',
  control: 'control',
  shared: 'shared',
  tenant: 'tenant',
} as const;

/** Where one tenant's tables are, and who works on them. */
export type Placement = {
  target: Target;
  database: string;
  schema: string;
  /** The role that statements run as. */
  role: string;
  sealKey: Buffer;
  /** The one tenant of a database of its own: sessions of the target begin with its context. */
  dedicatedTo: TenantId | null;
};

/** What seals are made from. While one secret replaces another, the database accepts both. */
export type SealSecrets = { current: Buffer; other: Buffer | null };

/** 32 random bytes each, kept in the control schema for the owner's eyes only. */
export type Secrets = { installation: Buffer; seals: SealSecrets };

export type Roles = {
  /** Owns everything; nobody logs in as it. */
  owner: string;
  /** Works on tenant tables, and on nothing else. */
  app: string;
  /** Works on one tenant's rows of the control schema. */
  account: string;
  /** The login of the connections; may only become `app` or `account`. */
  serve: string;
  /** The login of the directory and the operator. */
  control: string;
  /** The login that migrations run in, as the owner; it may only become that one. */
  migrate: string;
};

export class Installation {
  readonly adminUrl: string;
  readonly database: string;
  readonly roles: Roles;
  /** The way of the directory and the operator into the control schema. */
  readonly controlTarget: Target;
  readonly #admin: Keywords;
  readonly #secret: Buffer;
  readonly #places: LRUCache<string, Placement>;
  #seals: SealSecrets;

  /** @param placesKept how many places are remembered; deriving one costs a few HMACs. */
  constructor(adminUrl: string, { installation, seals }: Secrets, placesKept: number) {
    this.adminUrl = adminUrl;
    this.#admin = keywordsIn(adminUrl);
    this.database = databaseOf(adminUrl);
    this.roles = rolesOf(this.database);
    this.#secret = installation;
    this.#seals = seals;
    this.#places = new LRUCache({ max: placesKept });
    this.controlTarget = this.#target(this.database, this.roles.control);
  }

  /** The schema that all tenants of shared mode live in. */
  get shared(): Placement {
    return this.#remember(schemas.shared, () => this.#mainPlace(schemas.shared, this.roles.app));
  }

  /** One tenant's rows of the control schema. */
  get account(): Placement {
    return this.#remember(schemas.control, () =>
      this.#mainPlace(schemas.control, this.roles.account),
    );
  }

  /** A schema with a name that tells nothing about the tenant. */
  schemaOf(id: TenantId): Placement {
    const schema = `t_${compact(id)}`;
    return this.#remember(schema, () => this.#mainPlace(schema, this.roles.app));
  }

  /** A database whose one login has no rights in any other of Kennel's databases. */
  databaseOf(id: TenantId): Placement {
    const database = `${shorten(this.database, 20)}_t_${compact(id)}`;
    return this.#remember(database, () => {
      const sealKey = sealKeyOf(this.#seals.current, database);
      return {
        target: this.#target(database, database, {
          search_path: `"${schemas.tenant}"`,
          'kennel.tenant': dedicatedContext(sealKey, id),
        }),
        database,
        schema: schemas.tenant,
        role: database,
        sealKey,
        dedicatedTo: id,
      };
    });
  }

  /** Seals are made from these from now on. True when they are others than before. */
  useSeals(seals: SealSecrets): boolean {
    const changed = !seals.current.equals(this.#seals.current);
    this.#seals = seals;
    if (changed) this.#places.clear();
    return changed;
  }

  /** The administrator's way into one of our databases. */
  adminTarget(database: string): Target {
    return targetOf({ ...this.#admin, dbname: database });
  }

  /** The way of migrations, and of all else that may run what they left, into one of our databases. */
  migrationTarget(database: string): Target {
    return this.#target(database, this.roles.migrate);
  }

  password(role: string): string {
    return this.#derive(`login:${role}`).toString('hex');
  }

  /**
   * The secret of a tenant's first API key. Derived, not drawn: an onboarding request that is
   * repeated gets the same key, and no copy of it is kept anywhere.
   */
  firstKeySecret(keyId: string): Buffer {
    return this.#derive(`api-key:${keyId}`);
  }

  /** What belongs to one Idempotency-Key. The key is part of the purpose, and is kept by its client. */
  idempotencySecret(purpose: string): Buffer {
    return this.#derive(`idempotency:${purpose}`);
  }

  /** Tells what this installation has left outside its database from what another one has. */
  mark(): string {
    return this.#derive('mark').toString('hex').slice(0, 16);
  }

  #remember(name: string, make: () => Placement): Placement {
    const known = this.#places.get(name);
    if (known) return known;
    const made = make();
    this.#places.set(name, made);
    return made;
  }

  #mainPlace(schema: string, role: string): Placement {
    return {
      target: this.#target(this.database, this.roles.serve),
      database: this.database,
      schema,
      role,
      sealKey: sealKeyOf(this.#seals.current, this.database),
      dedicatedTo: null,
    };
  }

  /** @param settings that a session begins with, and that `reset all` brings back. */
  #target(database: string, login: string, settings?: OwnSettings): Target {
    const password = this.password(login);
    return targetOf({ ...this.#admin, dbname: database, user: login, password }, settings);
  }

  #derive(purpose: string): Buffer {
    return derive(this.#secret, purpose);
  }
}

/** Each database has a key of its own: a seal of one opens nothing in another. */
export function sealKeyOf(secret: Buffer, database: string): Buffer {
  return derive(secret, `seal:${database}`);
}

/** Where a tenant's tables are. */
export function placementOf(installation: Installation, { id, isolation }: TenantRef): Placement {
  if (isolation === 'shared') return installation.shared;
  return isolation === 'schema' ? installation.schemaOf(id) : installation.databaseOf(id);
}

/**
 * The role names of the installation in a database: `kennel_app` for the database `kennel`. Another
 * name is marked with its digest, so that `shop` does not share roles with `kennel_shop`.
 */
export function rolesOf(database: string): Roles {
  const name = shorten(database, 36);
  const prefix = name.startsWith('kennel') ? name : `kennel_${name}_${digestOf(database)}`;
  return {
    owner: `${prefix}_owner`,
    app: `${prefix}_app`,
    account: `${prefix}_account`,
    serve: `${prefix}_serve`,
    control: `${prefix}_control`,
    migrate: `${prefix}_migrate`,
  };
}

/** @throws {ConnectionUrlError} when the URL names no database. */
export function databaseOf(adminUrl: string): string {
  return connectionOptions(keywordsIn(adminUrl)).database;
}

function derive(secret: Buffer, purpose: string): Buffer {
  return createHmac('sha256', secret).update(purpose).digest();
}

function compact(id: TenantId): string {
  return id.replaceAll('-', '');
}

/** Postgres cuts names at 63 bytes without a word; a cut of our own stays unique. */
function shorten(name: string, most: number): string {
  if (name.length <= most) return name;
  return `${name.slice(0, most - 9)}_${digestOf(name)}`;
}

function digestOf(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 8);
}
