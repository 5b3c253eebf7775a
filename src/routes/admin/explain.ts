/** The explanation of a request that was sent with `Kennel-Explain: 1`, for a minute. */
import { json } from '../../http/reply.ts';
import { route } from '../../http/route.ts';
import { notFound } from '../../kernel/errors.ts';
import type { Operator } from './operator.ts';

export type FindExplanation = (requestId: string) => object | null;

export function explainRoutes(find: FindExplanation) {
  return [
    route('GET', '/api/admin/explain/{request_id}', {}, async (_operator: Operator, { params }) =>
      json(200, find(params.request_id) ?? notFound()),
    ),
  ];
}
