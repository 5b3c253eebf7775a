/**
 * One Kennel in one Postgres: the names of its roles, schemas and databases, and the passwords and
 * seal keys that follow from its one secret. Roles belong to the whole server, so their names carry
 * the database's name: two installations on one server do not meet.
 */
import { createHash, createHmac } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { TenantId } from '../kernel/tenant.ts';
import { connectionOptions } from './connection_options.ts';
import { type Keywords, keywordsIn } from './connection_url.ts';
import type { DedicatedPlacement, Placement } from './placement.ts';
import { dedicatedContext } from './seal.ts';
import { type OwnSettings, type Target, targetOf } from './session_url.ts';

/** Schemas of the main database. A tenant's own database has `kernel` and `tenant`. */
export const schemas = {
  kernel: 'kernel',
  control: 'control',
  shared: 'shared',
  tenant: 'tenant',
} as const;

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
  /** The way of tenants' statements into the main database. */
  readonly servingTarget: Target;
  readonly #admin: Keywords;
  readonly #secret: Buffer;
  readonly #placements: LRUCache<string, Placement>;
  readonly #dedicated: LRUCache<string, DedicatedPlacement>;
  #seals: SealSecrets;

  /** @param placementsKept how many of each kind are remembered; deriving one costs a few HMACs. */
  constructor(adminUrl: string, { installation, seals }: Secrets, placementsKept: number) {
    this.adminUrl = adminUrl;
    this.#admin = keywordsIn(adminUrl);
    this.database = databaseOf(adminUrl);
    this.roles = rolesOf(this.database);
    this.#secret = installation;
    this.#seals = seals;
    this.#placements = new LRUCache({ max: placementsKept });
    this.#dedicated = new LRUCache({ max: placementsKept });
    this.controlTarget = this.#target(this.database, this.roles.control);
    this.servingTarget = this.#target(this.database, this.roles.serve);
  }

  /** One tenant's rows of the control schema. */
  get account(): Placement {
    return this.placement(schemas.control, { role: this.roles.account });
  }

  /** A schema that sessions of the serving login work in, each statement in its tenant's context. */
  placement(
    schema: string,
    { database = this.database, role = this.roles.app }: { database?: string; role?: string } = {},
  ): Placement {
    return remembered(this.#placements, `${database} ${schema}`, () => ({
      context: 'statement',
      target: this.#target(database, this.roles.serve),
      database,
      login: this.roles.serve,
      schema,
      role,
      sealKey: sealKeyOf(this.#seals.current, database),
    }));
  }

  /** A database, and a login of the same name, whose sessions begin with the context of its one tenant. */
  dedicatedPlacement(name: string, tenant: TenantId): DedicatedPlacement {
    return remembered(this.#dedicated, name, () => {
      const database = this.databaseNamed(name);
      const sealKey = sealKeyOf(this.#seals.current, database);
      return {
        context: 'session',
        tenant,
        target: this.#target(database, database, {
          search_path: `"${schemas.tenant}"`,
          'kennel.tenant': dedicatedContext(sealKey, tenant),
        }),
        database,
        login: database,
        schema: schemas.tenant,
        role: database,
        sealKey,
      };
    });
  }

  /** A further database of this installation, at most 63 bytes for a name of at most 42. */
  databaseNamed(name: string): string {
    return `${shorten(this.database, 20)}_${name}`;
  }

  /** Seals are made from these from now on. True when they are others than before. */
  useSeals(seals: SealSecrets): boolean {
    const changed = !seals.current.equals(this.#seals.current);
    this.#seals = seals;
    if (changed) for (const kept of [this.#placements, this.#dedicated]) kept.clear();
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

  /** @param settings that a session begins with, and that `reset all` brings back. */
  #target(database: string, login: string, settings?: OwnSettings): Target {
    const password = this.password(login);
    return targetOf({ ...this.#admin, dbname: database, user: login, password }, settings);
  }

  #derive(purpose: string): Buffer {
    return derive(this.#secret, purpose);
  }
}

function remembered<Kept extends object>(
  kept: LRUCache<string, Kept>,
  name: string,
  make: () => Kept,
): Kept {
  const known = kept.get(name);
  if (known) return known;
  const made = make();
  kept.set(name, made);
  return made;
}

/** Each database has a key of its own: a seal of one opens nothing in another. */
export function sealKeyOf(secret: Buffer, database: string): Buffer {
  return derive(secret, `seal:${database}`);
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

/** Postgres cuts names at 63 bytes without a word; a cut of our own stays unique. */
function shorten(name: string, most: number): string {
  if (name.length <= most) return name;
  return `${name.slice(0, most - 9)}_${digestOf(name)}`;
}

function digestOf(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 8);
}
