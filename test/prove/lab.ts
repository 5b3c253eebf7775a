/**
 * One lab: a database of its own, a server on it without the layers that were taken off, and two
 * ordinary tenants. What the victim has is marked, so that a leak cannot be mistaken for anything.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { readConfig } from '../../src/config.ts';
import type { TenantPlace } from '../../src/kernel/ports.ts';
import { type IsolationMode, tenantId } from '../../src/kernel/tenant.ts';
import { type Place, placeOf } from '../../src/postgres/installation.ts';
import { type Call, type Onboarded, onboard, operatorOf } from '../support/client.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { adminToken } from '../support/kennel.ts';
import { type LabServer, openLabServer } from './lab_server.ts';
import { type LayerName, layerOf } from './layer.ts';
import type { Names } from './layers_of_the_database.ts';

export type Party = Onboarded & { place: Place };

export type Victim = Party & {
  /** Renewed for each attack; the attacker has found out its id. */
  petId: string;
  adminId: string;
  adminKeyId: string;
  /** A user of the victim who is no admin. */
  memberKey: string;
  revokedKey: string;
};

const connections = '8';

export class Lab {
  readonly mode: IsolationMode;
  readonly server: LabServer;
  /** Stands in all that is the victim's, and is known to nobody else. */
  readonly mark = `secret-${randomBytes(8).toString('hex')}`;
  /** Stands in what the attacker leaves behind. */
  readonly bait = `bait-${randomBytes(8).toString('hex')}`;
  readonly #database: TestDatabase;
  readonly #folder: string;
  readonly #clients = new Map<string, postgres.Sql>();
  readonly #others = new Map<string, Promise<Party>>();
  #attacker: Party | null = null;
  #victim: Victim | null = null;

  private constructor(
    mode: IsolationMode,
    parts: { server: LabServer; database: TestDatabase; folder: string },
  ) {
    this.mode = mode;
    this.server = parts.server;
    this.#database = parts.database;
    this.#folder = parts.folder;
  }

  /** @param cluster the superuser's URL of a server. */
  static async open(
    cluster: string,
    mode: IsolationMode,
    without: ReadonlySet<LayerName>,
  ): Promise<Lab> {
    const database = await createDatabase(cluster);
    const folder = await mkdtemp(join(tmpdir(), 'kennel-lab-'));
    const config = readConfig({
      DATABASE_URL: database.url,
      ADMIN_TOKEN: adminToken,
      ISOLATION: mode,
      DB_CONNECTIONS: connections,
      DATA_DIR: folder,
    });
    const server = await openLabServer({
      config,
      adminUrl: database.url,
      adminToken,
      without,
      victim: () => lab.#victimPlace(),
    });
    const lab = new Lab(mode, { server, database, folder });
    try {
      await lab.#furnish(without);
      return lab;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  get attacker(): Party {
    return this.#attacker ?? missing();
  }

  get victim(): Victim {
    return this.#victim ?? missing();
  }

  get operator(): Call {
    return operatorOf(this.server);
  }

  /** A tenant that few attacks need. */
  other(slug: string): Promise<Party> {
    const known = this.#others.get(slug);
    if (known) return known;
    const made = this.#onboard(slug);
    this.#others.set(slug, made);
    return made;
  }

  /** A tenant that is no more. */
  forget(slug: string): void {
    this.#others.delete(slug);
  }

  /** How a statement names one of the victim's tables: in schema mode with the schema. */
  table(name: 'pets' | 'visits' | 'pet_names'): string {
    return this.mode === 'schema' ? `"${this.victim.place.schema}".${name}` : name;
  }

  /** Statements of the superuser with the place's schema as search_path. */
  asSuperuser(place: Place, text: string): Promise<postgres.Row[]> {
    return this.#clientOf(place).unsafe(`set search_path = "${place.schema}"; ${text}`);
  }

  /** Where the server keeps one of the victim's tables, all of it written out. */
  async fileOf(table: string): Promise<string> {
    const { place } = this.victim;
    const rows = await this.asSuperuser(
      place,
      `checkpoint; select pg_relation_filepath('${table}') as row`,
    );
    return lastOf(rows)[0]?.row ?? '';
  }

  /** Brings the victim back to what it was, with a new pet. */
  async renewVictim(): Promise<void> {
    const { id, place, adminKeyId } = this.victim;
    const petId = randomUUID();
    await this.asSuperuser(
      place,
      `delete from visits;
       delete from pets where tenant_id = '${id}';
       insert into pets (tenant_id, id, name, species)
       values ('${id}', '${petId}', '${this.mark}', 'dog'),
         ('${id}', '${randomUUID()}', '${this.mark}', 'cat');
       insert into visits (tenant_id, id, pet_id, visited_on, reason)
       values ('${id}', '${randomUUID()}', '${petId}', '2026-01-01', '${this.mark}')`,
    );
    await this.asSuperuser(
      this.accountPlace,
      `update api_keys set revoked_at = null where id = '${adminKeyId}' and revoked_at is not null;
       update tenants set plan = 'enterprise' where id = '${id}' and plan <> 'enterprise';
       update settings set value = to_jsonb('${this.mark}'::text)
       where tenant_id = '${id}' and key = 'welcome_message'`,
    );
    this.victim.petId = petId;
  }

  /** Every row of the victim, with its table; what happens to the tenant it says too. */
  async victimRows(): Promise<string[]> {
    const { id, place } = this.victim;
    const own = await this.asSuperuser(place, rowsOf(['pets', 'visits'], `tenant_id = '${id}'`));
    const account = await this.asSuperuser(
      this.accountPlace,
      `${rowsOf(['users', 'api_keys', 'settings'], `tenant_id = '${id}'`)}
       union all ${rowsOf(['tenants'], `id = '${id}'`)}
       union all
       ${rowsOf(['audit_events'], `tenant_id = '${id}' and audience = 'tenant'`)}`,
    );
    return [...lastOf(own), ...lastOf(account)].map((row) => row.row).sort();
  }

  get accountPlace(): Place {
    return this.server.app.backstage.fleet.installation.account;
  }

  async close(): Promise<void> {
    await this.server.close();
    for (const client of this.#clients.values()) await client.end({ timeout: 1 });
    await this.#database.drop();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** Null while it is being made. */
  #victimPlace(): TenantPlace | null {
    return this.#victim && { id: tenantId(this.#victim.id), isolation: this.mode };
  }

  async #furnish(without: ReadonlySet<LayerName>): Promise<void> {
    const [victim, attacker] = await Promise.all([
      this.#onboard('victim', { name: this.mark, admin_email: `${this.mark}@example.com` }),
      this.#onboard('attacker'),
    ]);
    this.#attacker = attacker;
    const { call } = victim;
    const me = await call('GET /api/me');
    const member = await call('POST /api/users', { email: 'known@example.com', role: 'member' });
    const key = await call(`POST /api/users/${member.body.id}/keys`);
    const revoked = await call(`POST /api/users/${me.body.user.id}/keys`);
    await call(`DELETE /api/keys/${revoked.body.id}`);
    const header = { 'x-request-id': this.mark };
    await call('PUT /api/config/welcome_message', { value: this.mark }, header);
    this.#victim = {
      ...victim,
      petId: '',
      adminId: me.body.user.id,
      adminKeyId: keyIdOf(victim.apiKey),
      memberKey: key.body.api_key,
      revokedKey: revoked.body.api_key,
    };
    await this.renewVictim();
    await this.#installTraps();
    for (const name of without) await this.#takeOff(name);
    // What a login may do is settled when its session begins.
    const { serving } = this.server.app.backstage.pools;
    for (const { target } of [...this.#places(), this.accountPlace]) serving.closeIdle(target);
  }

  /** What a guard can be taken from must be there while it guards, too. */
  async #installTraps(): Promise<void> {
    for (const place of this.#places()) {
      await this.asSuperuser(
        place,
        `create view pet_names with (security_invoker = true) as select name from pets;
         grant select on pet_names to "${place.role}";
         analyze pets`,
      );
    }
    if (this.mode !== 'schema') return;
    await this.asSuperuser(
      this.victim.place,
      `create table public.pets as select * from pets;
       grant usage on schema public to "${this.victim.place.role}";
       grant select on public.pets to "${this.victim.place.role}"`,
    );
  }

  async #takeOff(name: LayerName): Promise<void> {
    const { place: inPlace, control } = layerOf(name);
    const { installation } = this.server.app.backstage.fleet;
    const { roles } = installation;
    for (const place of inPlace ? this.#places() : []) {
      const login = place.database === installation.database ? roles.serve : place.role;
      const names: Names = { ...place, roles, login };
      await this.asSuperuser(place, inPlace?.(names) ?? '');
    }
    if (!control) return;
    const account = this.accountPlace;
    await this.asSuperuser(account, control({ ...account, roles, login: roles.serve }));
  }

  /** The places of both tenants: in shared mode it is the same. */
  #places(): Place[] {
    const { place: own } = this.attacker;
    const { place: foreign } = this.victim;
    const same = own.database === foreign.database && own.schema === foreign.schema;
    return same ? [foreign] : [foreign, own];
  }

  async #onboard(slug: string, order: Readonly<Record<string, string>> = {}): Promise<Party> {
    const onboarded = await onboard(this.server, slug, order);
    const { installation } = this.server.app.backstage.fleet;
    const place = placeOf(installation, {
      id: tenantId(onboarded.id),
      isolation: this.mode,
    });
    return { ...onboarded, place };
  }

  #clientOf({ database }: Place): postgres.Sql {
    const known = this.#clients.get(database);
    if (known) return known;
    const target = this.server.app.backstage.fleet.installation.adminTarget(database);
    const made = postgres(target, { max: 1, connect_timeout: 5, onnotice: () => {} });
    this.#clients.set(database, made);
    return made;
  }
}

function rowsOf(tables: string[], condition: string): string {
  return tables
    .map(
      (table) =>
        `select '${table} ' || to_jsonb(t)::text as row from ${table} t where ${condition}`,
    )
    .join(' union all ');
}

/** Several statements have several results; the last one is what was asked for. */
function lastOf(results: postgres.Row[]): { row: string }[] {
  const last: unknown = results.at(-1);
  return Array.isArray(last) ? last : [];
}

function keyIdOf(apiKey: string): string {
  const [, hex = ''] = /^kn_([0-9a-f]{32})_/.exec(apiKey) ?? [];
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5');
}

function missing(): never {
  throw new Error('Cannot use the lab: it is not furnished yet');
}
