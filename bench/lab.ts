/**
 * The lab of one run: a Postgres, tenants of all modes, a process that loads, and servers to be
 * loaded. All of it is in a folder of its own, and all of it goes with the run.
 */

import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readConfig } from '../src/config.ts';
import type { IsolationModeName } from '../src/isolation/modes.ts';
import { openServices, type Services } from '../src/services.ts';
import { seededRandom } from '../test/support/random.ts';
import { makeBaselines } from './baselines/tables.ts';
import { Children } from './children.ts';
import { type BenchCluster, openCluster } from './cluster.ts';
import { conditions } from './limits.ts';
import { Load } from './load/load.ts';
import type { Options } from './options.ts';
import type { Progress } from './progress.ts';
import { forgetLetters, type Member, openPlan, provision } from './provision.ts';
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
  readonly members: Record<IsolationModeName, Member[]> = { shared: [], schema: [], database: [] };
  readonly costs: ModeCosts[] = [];
  readonly folder: string;
  readonly children: Children;
  readonly cluster: BenchCluster;
  readonly load: Load;
  readonly services: Services;
  /** Of the login of the baselines. */
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

  /** Everything but the tenants. What had been opened when something fails is closed again. */
  static async open(lab: LabOptions, undo: Undo): Promise<Lab> {
    return new Lab(await openParts(lab, undo), lab);
  }

  /** What timing takes besides its cases. */
  get rounds(): RoundsOptions {
    const { load, cluster, options, progress } = this;
    const { rounds, warmupMs, measureMs } = options;
    const onProgress: RoundsOptions['onProgress'] = (step) => progress.step(step);
    const chance = seededRandom(conditions.seed);
    return { load, cluster, rounds, warmupMs, measureMs, chance, onProgress };
  }

  /** Onboards the tenants mode by mode, and makes the baselines beside them. */
  async populate(population: Population): Promise<void> {
    const { services, progress, cluster } = this;
    await openPlan(services);
    for (const mode of ['shared', 'schema', 'database'] as const) {
      const count = population[mode];
      if (count === 0) continue;
      progress.phase(`onboard ${count} tenants of mode ${mode}`);
      const onProgress = (done: number) => progress.step({ done, of: count, name: '' });
      const made = await provision(services, { mode, count, url: cluster.url, onProgress });
      this.members[mode] = made.members;
      this.costs.push(made.costs);
    }
    await forgetLetters(services);
    if (population.shared === 0) return;
    const some = this.members.shared.slice(0, conditions.tenants);
    this.baselineUrl = await makeBaselines(cluster.url, some);
  }
}

/** What must be done at the end, last things first, whatever happens in between. */
export class Undo {
  readonly #steps: (() => Promise<void> | void)[] = [];

  defer(step: () => Promise<void> | void): void {
    this.#steps.push(step);
  }

  /** Every step is tried. @returns what went wrong. */
  async all(): Promise<unknown[]> {
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

async function openParts(lab: LabOptions, undo: Undo): Promise<Opened> {
  const { databaseUrl, dataFolder, progress } = lab;
  progress.phase(databaseUrl === null ? 'start Postgres' : 'make a database');
  const folder = await openFolder(dataFolder);
  undo.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));
  const cluster = await openCluster(folder, databaseUrl);
  undo.defer(() => cluster.stop());
  const config = readConfig({ DATABASE_URL: cluster.url, DATA_DIR: folder });
  const services = await openServices(config, cluster.url);
  undo.defer(() => services.close());
  const children = new Children(folder);
  undo.defer(() => children.stopAll());
  const load = await Load.start(children);
  return { folder, children, cluster, load, services };
}

/** Others must be able to pass through: as root, Postgres runs as another user. */
async function openFolder(dataFolder: string): Promise<string> {
  await mkdir(dataFolder, { recursive: true, mode: 0o711 });
  const folder = await mkdtemp(join(dataFolder, 'bench-'));
  await chmod(folder, 0o711);
  return folder;
}
