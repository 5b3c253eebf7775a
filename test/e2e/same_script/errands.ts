/** The operator's errands for one tenant, in another process than the server that the script talks to. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { restoreTenant } from '../../../src/control_plane/archive/restore_tenant.ts';
import { isolationModes } from '../../../src/isolation/modes.ts';
import type { Services } from '../../../src/services.ts';
import { exportTo } from '../../support/archives.ts';
import { slugOf } from '../../support/more_tables.ts';
import { tenantOf } from '../../support/moving_fixture.ts';
import type { Errand } from './calls.ts';

export class Errands {
  readonly #services: Services;
  readonly #folder: string;
  readonly #slug: string;
  #kept: string | null = null;

  constructor({ services, folder }: { services: Services; folder: string }, slug: string) {
    this.#services = services;
    this.#folder = folder;
    this.#slug = slug;
  }

  /** The next script has not kept anything yet. */
  forget(): void {
    this.#kept = null;
  }

  run(errand: Errand): Promise<void> {
    return { move: () => this.#move(), keep: () => this.#keep(), restore: () => this.#restore() }[
      errand
    ]();
  }

  /** To the next mode: so the tenants of a script are always in different ones. */
  async #move(): Promise<void> {
    const { isolation } = await tenantOf(this.#services, this.#slug);
    const modes: readonly string[] = isolationModes;
    const to = modes[(modes.indexOf(isolation) + 1) % modes.length] ?? isolation;
    const request = { slug: slugOf(this.#slug), to, requestId: null };
    await (await this.#services.moves.begin(request)).finished;
  }

  async #keep(): Promise<void> {
    const file = join(this.#folder, `${this.#slug}-${randomUUID()}.gz`);
    await exportTo(file, this.#services, this.#slug);
    this.#kept = file;
  }

  async #restore(): Promise<void> {
    if (this.#kept === null) return;
    const { archives, exports, moves, pools } = this.#services;
    const parts = { archives, exports, moves, serving: pools.serving, now: () => new Date() };
    const options = { file: this.#kept, slug: slugOf(this.#slug), onProgress: () => {} };
    await restoreTenant(parts, options);
  }
}
