/** `--where plan=NAME | isolation=MODE | slug=A,B`: the tenants that a command works on. */
import type { TenantFilter } from '../control_plane/tenant_filter.ts';
import { isolationModes } from '../isolation/modes.ts';
import { parseSlug, type Slug } from '../kernel/tenant.ts';
import { UsageError } from './arguments.ts';

/** The filter for a value of each field. */
const fields: Readonly<Record<string, (value: string) => TenantFilter>> = {
  plan: (plan) => ({ plan }),
  isolation: (isolation) => ({ isolation: modeOf(isolation) }),
  slug: (slugs) => ({ slugs: slugs.split(',').map(slugArgument) }),
};

/**
 * Returns the filter of all conditions together. Plans and slugs are looked up later, in the database.
 *
 * @throws {UsageError} for an unknown field or value, and for a second condition on the same field.
 * @example filterOf(['plan=free', 'isolation=schema']) // { plan: 'free', isolation: 'schema' }
 */
export function filterOf(conditions: readonly string[] = []): TenantFilter {
  const filter: TenantFilter = {};
  for (const condition of conditions) {
    const added = filterIn(condition);
    if (Object.keys(added).some((key) => Object.hasOwn(filter, key))) {
      throw new UsageError(`Cannot use --where "${condition}": its field is given twice`);
    }
    Object.assign(filter, added);
  }
  return filter;
}

function filterIn(condition: string): TenantFilter {
  const [, name = '', value = ''] = /^([^=]*)=(.+)$/s.exec(condition) ?? [];
  if (Object.hasOwn(fields, name)) return fields[name]?.(value) ?? {};
  throw new UsageError(
    `Cannot use --where "${condition}": expected plan=NAME, isolation=MODE or slug=A,B`,
  );
}

function modeOf(text: string): string {
  const mode = isolationModes.find((known) => known === text);
  if (mode) return mode;
  throw new UsageError(
    `Cannot use --where "isolation=${text}": expected ${isolationModes.join(', ')}`,
  );
}

/** @throws {UsageError} when the text cannot be a slug. */
export function slugArgument(text: string): Slug {
  const slug = parseSlug(text);
  if (!slug) throw new UsageError(`Cannot use "${text}": it is not a slug`);
  return slug;
}
