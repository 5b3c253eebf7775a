/** The steps that isolation modes use to create and remove placements. */
import type { ProvisioningSteps } from '../../isolation/mode.ts';
import type { Sql } from '../../kernel/ports.ts';
import type { TenantId } from '../../kernel/tenant.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { ConnectionPool } from '../../postgres/connection_pool.ts';
import type { DedicatedPlacement, Placement } from '../../postgres/placement.ts';
import type { Fleet } from '../fleet.ts';
import { createLogin, hidingStatements, limitingTransactions } from './logins.ts';
import { scriptAsOwner, withDatabaseLock } from './placement_lock.ts';
import { eraseRows } from './tenant_data.ts';
import { createDatabase, dropTenantDatabase } from './tenant_database.ts';
import { createSchema, dropSchema, schemaVersion } from './tenant_schema.ts';

export type ProvisionerParts = {
  fleet: Fleet;
  control: Sql;
  /** The connections that serve tenants: those of a dropped database are closed. */
  serving: Pick<ConnectionPool, 'closeIdle'>;
  /** SQL of the main database that fails for a process that may not go on, as the owner. */
  guard?: string;
  /** Receives the number of erased rows, rounded up to pages. */
  onErased?: (rows: number) => void;
};

export class Provisioner implements ProvisioningSteps {
  readonly #parts: ProvisionerParts;

  constructor(parts: ProvisionerParts) {
    this.#parts = parts;
  }

  /** Returns the same steps with other options. */
  with(options: Pick<ProvisionerParts, 'guard' | 'onErased'>): Provisioner {
    return new Provisioner({ ...this.#parts, ...options });
  }

  createLogin(placement: DedicatedPlacement): Promise<void> {
    const { installation, transactionTimeoutMs } = this.#parts.fleet;
    const { server, login } = placement;
    const restrictions = [
      hidingStatements(login),
      limitingTransactions(login, transactionTimeoutMs),
    ];
    return this.#besideDatabase(placement, (connection) =>
      createLogin(connection, installation, { login, server, restrictions }),
    );
  }

  createDatabase(placement: Placement): Promise<void> {
    return createDatabase(this.#parts.fleet, placement, () => this.#assertStillOwner());
  }

  createSchema(placement: Placement): Promise<number> {
    const { fleet, control } = this.#parts;
    return createSchema(fleet, placement, {
      control,
      assertStillOwner: () => this.#assertStillOwner(),
    });
  }

  schemaVersion(placement: Placement): Promise<number> {
    return schemaVersion(this.#parts.fleet, placement);
  }

  eraseRows(placement: Placement, tenant: TenantId): Promise<void> {
    return eraseRows(this.#parts.fleet, { ...this.#parts, placement, tenant });
  }

  dropSchema(placement: Placement): Promise<void> {
    return dropSchema(this.#parts.fleet, placement, this.#parts.guard);
  }

  dropDatabase(placement: Placement): Promise<void> {
    this.#parts.serving.closeIdle(placement.url);
    if (this.#isLost(placement)) return Promise.resolve();
    return dropTenantDatabase(this.#parts.fleet, placement, () => this.#assertStillOwner());
  }

  dropLogin(placement: DedicatedPlacement): Promise<void> {
    if (this.#isLost(placement)) return Promise.resolve();
    const drop = `drop role if exists "${placement.login}"`;
    return this.#besideDatabase(placement, (connection) => connection.script(drop));
  }

  #isLost({ server }: Placement): boolean {
    return this.#parts.fleet.installation.isLost(server);
  }

  /** A login belongs to the server, so it can be changed from any database. */
  #besideDatabase(
    { server, database }: DedicatedPlacement,
    work: (connection: Connection) => Promise<void>,
  ): Promise<void> {
    const { fleet } = this.#parts;
    const { database: from } = fleet.installation.homeOf(server);
    return withDatabaseLock(fleet, { server, database, from }, async (connection) => {
      await this.#assertStillOwner();
      await work(connection);
    });
  }

  /** Behind the lock of the placement: another process that has taken over waits for it. */
  async #assertStillOwner(): Promise<void> {
    const { fleet, guard } = this.#parts;
    if (guard !== undefined) await scriptAsOwner(fleet, fleet.installation.main, guard);
  }
}
