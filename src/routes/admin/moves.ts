/** The operator's routes for moves: begin one, and see how far the latest is. */
import * as v from 'valibot';
import { json, resource } from '../../http/reply.ts';
import { route } from '../../http/route.ts';
import { notFound } from '../../kernel/errors.ts';
import type { Slug } from '../../kernel/tenant.ts';
import { text } from '../fields.ts';
import type { Operator } from './operator.ts';
import { modeOf, slugParam, type TenantDefaults } from './tenants.ts';

/** The part of the control plane that these routes use. */
export type TenantMoves = {
  /** Resolves when the move has begun. It goes on afterwards. */
  begin(
    slug: Slug,
    destination: { to: string; server: string | null },
    requestId: string,
  ): Promise<object>;
  /** Returns null when the tenant has never moved. */
  find(slug: Slug): Promise<object | null>;
};

export function moveRoutes(
  moves: TenantMoves,
  { isolationModes }: Pick<TenantDefaults, 'isolationModes'>,
) {
  return [
    route(
      'POST',
      '/api/admin/tenants/{slug}/move',
      { body: v.object({ to: modeOf(isolationModes), server: v.optional(text(40)) }) },
      async ({ requestId }: Operator, { params, body }) => {
        const { to, server = null } = body;
        const move = await moves.begin(slugParam(params.slug), { to, server }, requestId);
        return json(202, move, { location: `/api/admin/tenants/${params.slug}/move` });
      },
    ),

    route('GET', '/api/admin/tenants/{slug}/move', {}, async (_operator: Operator, { params }) => {
      return resource(200, (await moves.find(slugParam(params.slug))) ?? notFound());
    }),
  ];
}
