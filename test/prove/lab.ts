/**
 * One lab: its own database, a server on it without the layers that were taken off, and two
 * ordinary tenants. The victim's data is marked, so that a leak cannot be mistaken for anything
 * else.
 */

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '../../src/config.ts';
import { addServer } from '../../src/control_plane/servers/add_server.ts';
import type { IsolationModeName } from '../../src/isolation/modes.ts';
import type { TenantRef } from '../../src/kernel/ports.ts';
import { parseSlug } from '../../src/kernel/tenant.ts';
import type { Placement } from '../../src/postgres/placement.ts';
import { type Client, type Onboarded, onboard, operatorOf } from '../support/client.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { adminToken } from '../support/kennel.ts';
import { lookInto } from '../support/sql.ts';
import {
  addVictimData,
  installTraps,
  markMove,
  renewRows,
  rowsOfVictim,
  takeOff,
} from './fixture.ts';
import { type LabServer, openLabServer } from './lab_server.ts';
import type { LayerName } from './layer.ts';
import { type MovingVictim, moveVictim } from './moving_victim.ts';
import { firstModeOf, isMoving, type MovingSetting, modeOf, type Setting } from './setting.ts';
import { Superuser } from './superuser.ts';

export type LabTenant = Onboarded & { placement: Placement };

export type Victim = LabTenant & {
  /** Renewed for each attack; the attacker knows its id. */
  petId: string;
  adminId: string;
  adminKeyId: string;
  /** A user of the victim who is not an admin. */
  memberKey: string;
  revokedKey: string;
  /** Where its rows were at first; it has moved from there in the setting `servers`, and in those that move it. */
  firstPlacement: Placement;
};

/** The superusers' URLs of servers. */
export type LabServers = { main: string; second?: string };

const connections = '8';

export class Lab {
  readonly setting: Setting;
  readonly mode: IsolationModeName;
  readonly server: LabServer;
  readonly superuser: Superuser;
  /** Part of all values of the victim, and known to no other tenant. */
  readonly mark = `secret-${randomBytes(8).toString('hex')}`;
  /** Part of all values that the attacker writes. */
  readonly bait = `bait-${randomBytes(8).toString('hex')}`;
  readonly #database: TestDatabase;
  readonly #folder: string;
  readonly #others = new Map<string, Promise<LabTenant>>();
  #attacker: LabTenant | null = null;
  #victim: Victim | null = null;
  #victimRef: TenantRef | null = null;
  #moving: MovingVictim | null = null;

  private constructor(
    setting: Setting,
    parts: { server: LabServer; database: TestDatabase; folder: string },
  ) {
    this.setting = setting;
    this.mode = modeOf(setting);
    this.server = parts.server;
    this.superuser = new Superuser(parts.server.app.services.fleet.installation);
    this.#database = parts.database;
    this.#folder = parts.folder;
  }

  /** @param servers with the second one for the setting `servers`. */
  static async open(
    { main, second }: LabServers,
    setting: Setting,
    without: ReadonlySet<LayerName>,
  ): Promise<Lab> {
    const database = await createDatabase(main);
    const folder = await mkdtemp(join(tmpdir(), 'kennel-lab-'));
    const config = readConfig({
      DATABASE_URL: database.url,
      ADMIN_TOKEN: adminToken,
      ISOLATION: modeOf(setting),
      DB_CONNECTIONS: connections,
      DATA_DIR: folder,
    });
    const server = await openLabServer({
      config,
      adminUrl: database.url,
      adminToken,
      without,
      victim: () => lab.#victimRef,
    });
    const lab = new Lab(setting, { server, database, folder });
    try {
      await lab.#setUp(without, second);
      return lab;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  get attacker(): LabTenant {
    return this.#attacker ?? missing();
  }

  get victim(): Victim {
    return this.#victim ?? missing();
  }

  get operator(): Client {
    return operatorOf(this.server);
  }

  /** A tenant that few attacks need. */
  other(slug: string): Promise<LabTenant> {
    const known = this.#others.get(slug);
    if (known) return known;
    const made = this.#onboard(slug);
    this.#others.set(slug, made);
    return made;
  }

  /** A tenant that was erased. */
  forget(slug: string): void {
    this.#others.delete(slug);
  }

  /** How a statement names one of the victim's tables: in schema mode with the schema. */
  table(name: 'pets' | 'visits' | 'pet_names'): string {
    return this.mode === 'schema' ? `"${this.victim.placement.schema}".${name}` : name;
  }

  /** Where the server keeps one of the victim's tables: the fully qualified name. */
  async fileOf(table: string): Promise<string> {
    const query = `checkpoint; select pg_relation_filepath('${table}') as row`;
    const [path = ''] = await this.superuser.ask(this.victim.placement, query);
    return path;
  }

  /** Restores the victim's original rows, with a new pet. */
  async renewVictim(): Promise<void> {
    this.victim.petId = await renewRows(this);
  }

  /** Every row of the victim, with its table. */
  victimRows(): Promise<string[]> {
    return rowsOfVictim(this);
  }

  /** The schema of users, keys, settings and trail, in every mode. */
  get accountPlacement(): Placement {
    return this.server.app.services.fleet.installation.account;
  }

  /** Takes the part of a layer off that is in the database. */
  async takeOff(name: LayerName): Promise<void> {
    const placements = this.#placements();
    await takeOff(this, name, placements);
    // The rights of a login take effect when its session begins.
    const { serving } = this.server.app.services.pools;
    for (const { url } of [...placements, this.accountPlacement]) serving.closeIdle(url);
  }

  /** Its move or its restore; null when it neither moves nor is restored. */
  get moving(): MovingVictim | null {
    return this.#moving;
  }

  async close(): Promise<void> {
    await this.server.close();
    this.#moving?.release();
    await this.superuser.close();
    await this.#database.drop();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #setUp(without: ReadonlySet<LayerName>, second: string | undefined): Promise<void> {
    const isolation = firstModeOf(this.setting);
    const [victim, attacker] = await Promise.all([
      this.#onboard('victim', {
        ...{ name: this.mark, admin_email: `${this.mark}@example.com`, isolation },
      }),
      this.#onboard('attacker'),
    ]);
    this.#attacker = attacker;
    this.#victim = await addVictimData(victim, this.mark);
    if (this.setting === 'servers') await this.#toSecondServer(second ?? missing());
    if (isMoving(this.setting)) await this.#move(this.setting);
    this.#victimRef = await this.#refOf(victim.slug);
    await this.renewVictim();
    await installTraps(this, this.#placements());
    for (const name of without) await this.takeOff(name);
  }

  /** With rows, and with marks in the tables of the control plane that are about its move. */
  async #move(setting: MovingSetting): Promise<void> {
    const { services } = this.server.app;
    const { victim } = this;
    await this.renewVictim();
    this.#moving = await moveVictim(setting, {
      ...{ services, slug: parseSlug(victim.slug) ?? missing(), folder: this.#folder },
      ref: await this.#refOf(victim.slug),
    });
    victim.placement = await this.#placementOf(victim.slug);
    await markMove(this);
  }

  /** The password in the server's URL is marked. */
  async #toSecondServer(second: string): Promise<void> {
    const { fleet, moves } = this.server.app.services;
    const { victim } = this;
    const slug = parseSlug(victim.slug) ?? missing();
    const url = new URL(second);
    [url.username, url.password] = [`${fleet.installation.database}_admin`, this.mark];
    await lookInto(second, (sql) =>
      sql.unsafe(`create role "${url.username}" superuser login password '${url.password}'`),
    );
    const server = 'second';
    await addServer(fleet, { name: server, url: url.href });
    const request = { slug, to: this.mode, server, requestId: null };
    await (await moves.begin(request)).finished;
    victim.placement = await this.#placementOf(victim.slug);
  }

  /** All places with rows of the two tenants: in shared mode they have the same one. */
  #placements(): Placement[] {
    const all = [this.victim.placement, this.attacker.placement, ...(this.#moving?.places ?? [])];
    const nameOf = ({ database, schema }: Placement) => `${database} ${schema}`;
    return [...new Map(all.reverse().map((place) => [nameOf(place), place])).values()].reverse();
  }

  async #onboard(slug: string, order: Readonly<Record<string, string>> = {}): Promise<LabTenant> {
    const onboarded = await onboard(this.server, slug, order);
    return { ...onboarded, placement: await this.#placementOf(slug) };
  }

  async #placementOf(slug: string): Promise<Placement> {
    return this.server.app.services.fleet.modes.placementOf(await this.#refOf(slug));
  }

  async #refOf(slug: string): Promise<TenantRef> {
    const [tenant] = await this.server.app.services.control<TenantRef>`
      select id, isolation, server, generation from control.tenants where slug = ${slug}`;
    return tenant ?? missing();
  }
}

function missing(): never {
  throw new Error('Cannot use the lab: its fixture does not exist yet');
}
