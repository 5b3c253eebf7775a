/** Which layers stand in the way of a kind of attack, in each mode. */
import type { Attack } from './attack.ts';
import type { LayerName } from './layer.ts';

type Needed = Attack['layers'];

/** Before it matters where the tables are. */
export function everywhere(...layers: LayerName[]): Needed {
  return { shared: layers, schema: layers, database: layers };
}

/** Where the tables are is one more layer in the modes that give each tenant a place. */
export function inPlace(...layers: LayerName[]): Needed {
  const own = ['own placement', ...layers] as const;
  return { shared: layers, schema: own, database: own };
}

/**
 * The attacker knows the victim's schema and names it, so that the schema is no layer. In a database
 * that is not its own it has to set its context, so that the right to do so is none either.
 */
export function named(...layers: LayerName[]): Needed {
  const inDatabase = layers.filter((layer) => layer !== 'no settings');
  return { shared: layers, schema: layers, database: ['own placement', ...inDatabase] };
}

/** The same, for what goes nowhere without a context: only its tenant has one in a database of its own. */
export function namedWithContext(...layers: LayerName[]): Needed {
  return { ...named(...layers), database: ['own placement', 'seal', ...layers] };
}

/** Only where tenants share a database, and with it the connections. */
export function oneDatabase(...layers: LayerName[]): Needed {
  return { shared: layers, schema: layers };
}
