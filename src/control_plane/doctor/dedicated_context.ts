/** Checks `kernel.tenant()` of a tenant's own database: its tenant, and the contexts that it accepts. */
import type { DedicatedPlacement } from '../../postgres/placement.ts';
import { digestFor, listOf } from '../provisioning/dedicated_context.ts';
import type { Fact } from './catalog.ts';
import { differences } from './differences.ts';
import { type Finding, finding, identifier } from './finding.ts';
import { anyDigest, anyGeneration, anyTenant, type KernelReference } from './reference.ts';

/** Reports a context that our secrets do not give: someone else may know it. */
export function examineDedicatedContext(
  facts: readonly Fact[],
  {
    place,
    reference,
    accepted,
  }: { place: DedicatedPlacement; reference: KernelReference; accepted: readonly Buffer[] },
): Finding[] {
  const { database } = place;
  const check = bodyIn(facts);
  const where = `function kernel.tenant() of database ${database}`;
  const ours = accepted.map((secret) => digestFor(place, secret));
  const [current = ''] = ours;
  const digests = [...(check ?? '').matchAll(/'([0-9a-f]{64})'/g)].map(([, digest = '']) => digest);
  const fits = digests.includes(current) && digests.every((digest) => ours.includes(digest));
  const expected = reference.dedicated.map((fact) => forTenant(fact, place, fits ? digests : ours));
  const setting = { database, schema: 'kernel', app: identifier(place.role) };
  const findings = differences(expected, facts, setting);
  if (!fits || digests.length === 1) return findings;
  const what = `It takes ${digests.length} contexts; a rotation is under way, or was interrupted`;
  const fix = 'npm run rotate-seals';
  return [...findings, finding('seal_rotation_open', { database, where, what, fix })];
}

function bodyIn(facts: readonly Fact[]): string | null {
  return facts.find(({ object }) => object === 'function {schema}.tenant()')?.value ?? null;
}

/** Puts the tenant and the contexts of one database into a fact of the reference. */
function forTenant(fact: Fact, place: DedicatedPlacement, digests: readonly string[]): Fact {
  const put = (text: string) =>
    text
      .replaceAll(anyTenant, place.tenant)
      .replaceAll(`'${anyGeneration}'`, `'${place.generation}'`)
      .replaceAll(listOf([anyDigest]), listOf(digests));
  return { ...fact, value: put(fact.value), make: fact.make && put(fact.make) };
}
