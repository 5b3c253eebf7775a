/** The pets of the lab. Their names hold the tenant's slug, so a reply for the wrong tenant is detected. */
import { v7 as uuidv7 } from 'uuid';
import { conditions } from './limits.ts';

/** A pet as Kennel returns it, without its two times. */
export type SeedPet = {
  id: string;
  name: string;
  species: string;
  breed: string;
  birth_date: string;
};

/** Returns a tenant's pets in the order of their ids. */
export function seedPets(slug: string): SeedPet[] {
  return Array.from({ length: conditions.petsPerTenant }, (_, at) => ({
    id: uuidv7(),
    name: `Pet ${at} of ${slug}`,
    species: at % 2 === 0 ? 'dog' : 'cat',
    breed: 'Norwegian Forest',
    birth_date: '2021-05-17',
  }));
}
