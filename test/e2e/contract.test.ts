/**
 * The contract's tenant API from outside: one journey, in each of the three modes with each of the
 * three ways to name the tenant.
 */

import { after, before, describe } from 'node:test';
import { isolationModes } from '../../src/isolation/modes.ts';
import { clientOf, type Onboarded, onboard, ways } from '../support/client.ts';
import { type Kennel, startKennel } from '../support/kennel.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { browsers, page } from './contract/browsers.ts';
import { conditions } from './contract/conditions.ts';
import { edges } from './contract/edges.ts';
import { once } from './contract/once.ts';
import { pets } from './contract/pets.ts';
import { settings } from './contract/settings.ts';
import { trail } from './contract/trail.ts';
import { users } from './contract/users.ts';
import { visits } from './contract/visits.ts';
import { welcome } from './contract/welcome.ts';

let database: TestDatabase;
let kennel: Kennel;

before(async () => {
  database = await testDatabase();
  kennel = await startKennel(database.url, { CORS_ORIGINS: page });
});

after(async () => {
  await kennel.stop();
  await database.drop();
});

for (const isolation of isolationModes) {
  describe(isolation, () => {
    let neighbour: Onboarded;
    before(async () => {
      neighbour = await onboard(kennel, `${isolation}-neighbour`, { isolation });
    });

    for (const [at, way] of ways.entries()) {
      describe(`by ${way}`, () => {
        let tenant: Onboarded;
        before(async () => {
          const { call: _, ...created } = await onboard(kennel, `${isolation}-by-${way}`, {
            isolation,
          });
          tenant = { ...created, call: clientOf(kennel, { ...created, way }) };
        });

        const context = () => ({ kennel, isolation, way, tenant, neighbour });
        welcome(context);
        pets(context);
        visits(context);
        // The rest is tried once in each mode and by each way, not in all pairs of these.
        if (at !== isolationModes.indexOf(isolation)) return;
        settings(context);
        users(context);
        trail(context);
        conditions(context);
        once(context);
        browsers(context);
        edges(context);
      });
    }
  });
}
