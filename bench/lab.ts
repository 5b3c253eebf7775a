/**
 * The lab of one run: a Postgres, tenants of all modes, the load process and the servers. Everything is in
 * one folder and is removed at the end of the run.
 */

import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readConfig } from '../src/config.ts';
import { addServer } from '../src/control_plane/servers/add_server.ts';
import { removeServer } from '../src/control_plane/servers/remove_server.ts';
import type { IsolationModeName } from '../src/isolation/modes.ts';
import type { Slug } from '../src/kernel/tenant.ts';
import { openServices, type Services } from '../src/services.ts';
import { seededRandom } from '../test/support/random.ts';
import { makeBaselines } from './baselines/tables.ts';
import { Children } from './children.ts';
import { type BenchCluster, openCluster, vacuumAll } from './cluster.ts';
import { conditions } from './limits.ts';
import { Load } from './load/load.ts';
import type { Options } from './options.ts';
import type { Progress } from './progress.ts';
import { deleteEmails, type LoadTenant, openPlan, provision } from './provision.ts';
import type { ModeCosts } from './result.ts';
import type { RoundsOptions } from './rounds.ts';

export type LabOptions = {
  options: Options;
  databaseUrl: string | null;
  dataFolder: string;
  progress: Progress;
};

/** How many tenants of each mode are made. */
export type Population = Readonly<Record<IsolationModeName, number>>;

export class Lab {
  readonly options: Options;
  readonly progress: Progress;
  readonly loadTenants: Record<IsolationModeName, LoadTenant[]> = {
    shared: [],
    schema: [],
    database: [],
  };
  readonly costs: ModeCosts[] = [];
  readonly folder: string;
  readonly children: Children;
  readonly cluster: BenchCluster;
  readonly load: Load;
  readonly services: Services;
  /** The URL with the login of the baselines. */
  baselineUrl = '';

  private constructor(parts: Opened, { options, progress }: LabOptions) {
    this.options = options;
    this.progress = progress;
    this.folder = parts.folder;
    this.children = parts.children;
    this.cluster = parts.cluster;
    this.load = parts.load;
    this.services = parts.services;
  }

  /** Opens everything but the tenants. `cleanup` closes it, also after a failure. */
  static async open(lab: LabOptions, cleanup: CleanupStack): Promise<Lab> {
    return new Lab(await openParts(lab, cleanup), lab);
  }

  /** The options of `runGroup`. */
  get rounds(): RoundsOptions {
    const { load, cluster, options, progress } = this;
    const { rounds, warmupMs, measureMs } = options;
    const onProgress: RoundsOptions['onProgress'] = (done, of) => progress.step(done, of);
    const random = seededRandom(conditions.seed);
    return { load, cluster, rounds, warmupMs, measureMs, random, onProgress };
  }

  /** Onboards the tenants mode by mode, makes the tables of the baselines, and vacuums all of them. */
  async populate(population: Population): Promise<void> {
    const { services, progress, cluster } = this;
    await openPlan(services);
    for (const mode of ['shared', 'schema', 'database'] as const) {
      const count = population[mode];
      if (count === 0) continue;
      progress.phase(`onboard ${count} tenants of mode ${mode}`);
      const onProgress = (done: number) => progress.step(done, count);
      const made = await provision(services, { mode, count, url: cluster.url, onProgress });
      this.loadTenants[mode] = made.loadTenants;
      this.costs.push(made.costs);
    }
    await deleteEmails(services);
    if (population.shared > 0) {
      const some = this.loadTenants.shared.slice(0, conditions.tenants);
      this.baselineUrl = await makeBaselines(cluster.url, some);
    }
    progress.phase('vacuum');
    await vacuumAll(cluster.url);
  }
}

/** Steps to run at the end, in reverse order, also after a failure. */
export class CleanupStack {
  readonly #steps: (() => Promise<void> | void)[] = [];

  defer(step: () => Promise<void> | void): void {
    this.#steps.push(step);
  }

  /** Runs every step, even after one fails. Returns the errors. */
  async run(): Promise<unknown[]> {
    const errors: unknown[] = [];
    for (let step = this.#steps.pop(); step; step = this.#steps.pop()) {
      try {
        await step();
      } catch (error) {
        errors.push(error);
      }
    }
    return errors;
  }
}

type Opened = Pick<Lab, 'folder' | 'children' | 'cluster' | 'load' | 'services'>;

async function openParts(lab: LabOptions, cleanup: CleanupStack): Promise<Opened> {
  const { databaseUrl, dataFolder, progress } = lab;
  progress.phase(databaseUrl === null ? 'start Postgres' : 'make a database');
  const folder = await openFolder(dataFolder);
  cleanup.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));
  const cluster = await openCluster(folder, databaseUrl);
  cleanup.defer(() => cluster.stop());
  const config = readConfig({ DATABASE_URL: cluster.url, DATA_DIR: folder });
  const services = await openServices(config, cluster.url);
  cleanup.defer(() => services.close());
  if (lab.options.server !== null) await addSecond(services, lab.options.server, cleanup);
  const children = new Children(folder);
  cleanup.defer(() => children.stopAll());
  const load = await Load.start(children);
  return { folder, children, cluster, load, services };
}

/** Tenants' databases are placed on two servers in turn. Those on the second one are removed at the end. */
async function addSecond(services: Services, url: string, cleanup: CleanupStack): Promise<void> {
  const { fleet, control, onboarding } = services;
  const name = 'second';
  await addServer(fleet, { name, url });
  cleanup.defer(async () => {
    const tenants = await control<{ slug: Slug }>`
      select slug from control.tenants where server = ${name}`;
    for (const { slug } of tenants) await onboarding.remove(slug, null);
    await removeServer(fleet, name);
  });
}

/** Other users may pass through the folder: with root, Postgres runs as another user. */
async function openFolder(dataFolder: string): Promise<string> {
  await mkdir(dataFolder, { recursive: true, mode: 0o711 });
  const folder = await mkdtemp(join(dataFolder, 'bench-'));
  await chmod(folder, 0o711);
  return folder;
}
