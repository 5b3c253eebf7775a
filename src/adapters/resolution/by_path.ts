/** `/acme-pets/api/pets` names `acme-pets`; the path without it is `/api/pets`. */
import type { TenantResolver } from '../../kernel/ports.ts';

const prefixed = /^\/([^/]+)(\/api(?:\/.*)?)$/;

/** A path that begins with `/api` has no prefix: `api` is a reserved name. */
export const byPath: TenantResolver = ({ path }) => {
  const [, slug, rest] = prefixed.exec(path) ?? [];
  return slug === undefined || rest === undefined || slug === 'api'
    ? []
    : [{ slug, by: 'path', path: rest }];
};
