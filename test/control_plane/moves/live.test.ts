/** A tenant that is read and written while it moves: no call fails, and no row is lost, doubled or stale. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import type { Isolation, TenantRef } from '../../../src/kernel/ports.ts';
import {
  followingIsolation,
  type MovingFixture,
  openMovingFixture,
  pairs,
} from '../../support/moving_fixture.ts';

describe('a tenant that is served while it moves', () => {
  let fixture: MovingFixture;
  before(async () => {
    fixture = await openMovingFixture();
  });
  after(() => fixture.close());

  for (const { from, to } of pairs) {
    it(`loses no write and sees each of its own from ${from} to ${to}`, async () => {
      const slug = `live-${from}-to-${to}`;
      await fixture.onboard(slug, from);
      await fixture.fill(slug, 600);
      const process = followingIsolation(fixture.services);
      const load = new Load(process, await fixture.tenant(slug));
      const move = await load.during(() => fixture.move(slug, to));
      assert.equal(move.state, 'done');
      assert.deepEqual(load.failures, []);
      const pets = await livePets(process, await fixture.tenant(slug));
      assert.deepEqual(
        pets.map(({ id, name }) => `${id} ${name}`).sort(),
        [...load.expected].map(([id, name]) => `${id} ${name}`).sort(),
      );
    });
  }
});

type Pet = { id: string; name: string };

/** In pages: a long move gets more pets than one result may have. */
async function livePets(process: Isolation, tenant: TenantRef): Promise<Pet[]> {
  const pets: Pet[] = [];
  for (let last: Pet | undefined; ; last = pets.at(-1)) {
    const after = last?.id ?? '00000000-0000-0000-0000-000000000000';
    const page = await process.run(
      tenant,
      (db) => db<Pet>`
        select id, name from pets where species = 'live' and id > ${after} order by id limit 1000`,
    );
    if (page.length === 0) return pets;
    pets.push(...page);
  }
}

const callers = 4;

/** Callers that each add pets, change them, and read their own writes, without a pause. */
class Load {
  readonly expected = new Map<string, string>();
  readonly failures: unknown[] = [];
  readonly #process: Isolation;
  readonly #tenant: TenantRef;

  /** @param tenant as it was before the move: each call begins with what the process knew then. */
  constructor(process: Isolation, tenant: TenantRef) {
    this.#process = process;
    this.#tenant = tenant;
  }

  async during<Result>(work: () => Promise<Result>): Promise<Result> {
    let going = true;
    const calling = Array.from({ length: callers }, async () => {
      // One failure is enough: if each call fails at once, thousands would be compared and shown.
      while (going && this.failures.length === 0) {
        await this.#call().catch((error) => this.failures.push(error));
      }
      // At least one more call, which begins after the switch.
      await this.#call().catch((error) => this.failures.push(error));
    });
    const result = await work().finally(() => {
      going = false;
    });
    await Promise.all(calling);
    return result;
  }

  #call(): Promise<void> {
    return this.#process.run(this.#tenant, async (db) => {
      const id = randomUUID();
      await db`insert into pets (id, name, species) values (${id}, 'new', 'live')`;
      this.expected.set(id, 'new');
      const name = `changed ${randomUUID()}`;
      await db.transaction(async (sql) => {
        await sql`update pets set name = ${name} where id = ${id}`;
        await sql`
          insert into visits (id, pet_id, visited_on, reason)
          values (${randomUUID()}, ${id}, '2024-01-01', 'shots')`;
      });
      this.expected.set(id, name);
      const [pet] = await db<{ name: string; visits: number }>`
        select name, (select count(*)::int from visits where pet_id = pets.id) as visits
        from pets where id = ${id}`;
      assert.deepEqual(pet, { name, visits: 1 });
    });
  }
}
