/**
 * Isolation as careless servers implement it: one placement for all tenants, settings that outlast
 * their transaction, a search path that goes on to `public`, or plain postgres.js connections in
 * place of Kennel's own.
 */

import type { IsolationModes } from '../../src/isolation/modes.ts';
import { type Connections, openTenantDb, queriesOnly } from '../../src/isolation/tenant_db.ts';
import type { Db, Isolation, Sql, TenantRef } from '../../src/kernel/ports.ts';
import type { TenantId } from '../../src/kernel/tenant.ts';
import type { Connection } from '../../src/postgres/connection.ts';
import { type Envelope, Envelopes } from '../../src/postgres/envelope.ts';
import { asViolation } from '../../src/postgres/errors.ts';
import { isDedicated, type Placement } from '../../src/postgres/placement.ts';
import { contextOf, envelopeOf } from '../support/envelopes.ts';
import { PlainConnections } from './plain_connections.ts';

export type Carelessness = {
  /** The tenant in whose placement all tenants work; null for each in its own. */
  everybodyIn: () => TenantRef | null;
  /** `set` in place of `set local`. */
  lasting: boolean;
  /** The search path goes on to `public`. */
  openPath: boolean;
  /** A prefix of the text of every statement. */
  anyStatement: boolean;
  /** Messages that may hold several statements. */
  stacked: boolean;
  /** A session is kept, whatever its state. */
  kept: boolean;
};

/**
 * Works like the real isolation except for the careless parts; `close` ends the sessions that it
 * opened.
 */
export function carelessIsolation(
  { pool }: Connections,
  modes: Pick<IsolationModes, 'placementOf'>,
  careless: Carelessness,
): Isolation & { close(): Promise<void> } {
  const connections = { pool, envelopes: new CarelessEnvelopes(careless) };
  const plain = new PlainConnections(careless);
  const placementFor = (tenant: TenantRef): Placement =>
    modes.placementOf(careless.everybodyIn() ?? tenant);
  return {
    run: (tenant, work) => {
      const placement = placementFor(tenant);
      if (careless.stacked || careless.kept) {
        const looked = careless.anyStatement ? work : (db: Db) => work(withQueriesOnly(db));
        return plain.run(placement, tenant.id, looked);
      }
      if (careless.anyStatement) return work(anyStatements(connections, placement, tenant.id));
      return openTenantDb(connections, placement, tenant.id, work);
    },
    close: () => plain.close(),
  };
}

function withQueriesOnly(db: Db): Db {
  const transaction: Db['transaction'] = (steps) =>
    db.transaction((sql) => steps(queriesOnly(sql)));
  return Object.assign(queriesOnly(db), { transaction });
}

/** A tenant's `db` that does not check its statements. */
export function anyStatements(
  { pool, envelopes }: Connections,
  placement: Placement,
  tenant: TenantId,
): Db {
  const use = <Result>(work: (connection: Connection, envelope: Envelope) => Promise<Result>) =>
    pool
      .exclusive(placement.url, tenant, (connection) =>
        work(connection, envelopes.of(connection, placement, tenant)),
      )
      .catch((error: unknown) => {
        throw asViolation(error);
      });
  const statement: Sql = (text, ...values) =>
    use((connection, envelope) => connection.statement(envelope, text, values));
  const transaction: Db['transaction'] = (steps) =>
    use((connection, envelope) => connection.transaction(envelope, steps));
  return Object.assign(statement, { transaction });
}

/** Envelopes as a careless server makes them: a new text each, with all values in the text. */
export class CarelessEnvelopes extends Envelopes {
  readonly #careless: Carelessness;

  constructor(careless: Carelessness) {
    super(100);
    this.#careless = careless;
  }

  override of(
    connection: { pid: number; url: string },
    placement: Placement,
    tenant: TenantId,
  ): Envelope {
    const { lasting, openPath } = this.#careless;
    // In a tenant's own database the context is the session's: no careless variant exists.
    const ofSession = isDedicated(placement) && tenant === placement.tenant;
    const careless = !ofSession && (lasting || openPath);
    if (!careless) return super.of(connection, placement, tenant);
    const context = {
      role: placement.role,
      search_path: openPath ? `"${placement.schema}", public` : `"${placement.schema}"`,
      'kennel.tenant': contextOf(placement, tenant, connection.pid),
    };
    return { ...envelopeOf(context, !lasting), schema: placement.schema };
  }
}

/** The same as a script. */
export function makeCareless(
  script: string,
  { lasting, openPath }: Pick<Carelessness, 'lasting' | 'openPath'>,
): string {
  const path = openPath ? script.replace(/(search_path = "[^"]+")/, '$1, public') : script;
  return lasting ? path.replaceAll('set local', 'set') : path;
}
