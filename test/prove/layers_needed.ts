/** The layers that stop a kind of attack, in each setting. */
import type { Attack } from './attack.ts';
import type { LayerName } from './layer.ts';

type Needed = Attack['layers'];

/** Before the location of the tables matters. */
export function everywhere(...layers: LayerName[]): Needed {
  return { shared: layers, schema: layers, database: layers, servers: layers };
}

/**
 * The location of the tables is one more layer in the modes that give each tenant its own
 * placement.
 */
export function inPlace(...layers: LayerName[]): Needed {
  const own = ['own placement', ...layers] as const;
  return { shared: layers, schema: own, database: own, servers: own };
}

/**
 * The attacker knows the victim's schema and names it, so the schema is not a layer. In another
 * tenant's database it has to set its context, so the right to do so is not a layer either.
 */
export function named(...layers: LayerName[]): Needed {
  const inDatabase = layers.filter((layer) => layer !== 'no settings');
  return { shared: layers, schema: layers, ...dedicated('own placement', ...inDatabase) };
}

/**
 * The same for attacks that need a context: in a tenant's own database only that tenant has one.
 */
export function namedWithContext(...layers: LayerName[]): Needed {
  return { ...named(...layers), ...dedicated('own placement', 'seal', ...layers) };
}

/** Only where each tenant has a database of its own. */
export function dedicated(...layers: LayerName[]): Needed {
  return { database: layers, servers: layers };
}

/** Only in modes whose tenants share a database, and so its connections. */
export function oneDatabase(...layers: LayerName[]): Needed {
  return { shared: layers, schema: layers };
}
