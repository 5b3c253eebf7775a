/** Plans: the rate limits of tenants. A change takes effect for all tenants of the plan within a second. */
import * as v from 'valibot';
import { json, resource } from '../../http/reply.ts';
import { route } from '../../http/route.ts';
import { notFound } from '../../kernel/errors.ts';
import type { Plan } from '../../kernel/tenant.ts';
import type { Operator } from './operator.ts';

/** The part of the registry that these routes use. */
export type Plans = {
  plans(): Promise<Plan[]>;
  plan(name: string): Promise<Plan | null>;
  /** Returns true when the plan is new. */
  putPlan(
    plan: Plan,
    requestId: string,
    assertChangeable: ((current: Plan | null) => void) | null,
  ): Promise<boolean>;
};

const count = v.pipe(
  v.number('Expected an integer from 1 to 1000000000'),
  v.integer('Expected an integer from 1 to 1000000000'),
  v.minValue(1, 'Expected an integer from 1 to 1000000000'),
  v.maxValue(1_000_000_000, 'Expected an integer from 1 to 1000000000'),
);

const newPlan = v.object({ requests_per_hour: count, burst: v.optional(count) });

const isPlanName = (name: string) => /^[a-z][a-z0-9_-]{0,39}$/.test(name);

const named = { params: { name: isPlanName } };

export function planRoutes(plans: Plans) {
  return [
    route('GET', '/api/admin/plans', {}, async (_operator: Operator) => {
      const items = (await plans.plans()).map(view);
      return json(200, { items, next_cursor: null });
    }),

    route('GET', '/api/admin/plans/{name}', named, async (_operator: Operator, { params }) => {
      const plan = await plans.plan(params.name);
      return resource(200, view(plan ?? notFound()));
    }),

    route(
      'PUT',
      '/api/admin/plans/{name}',
      { ...named, body: newPlan, checksPreconditions: true },
      async ({ requestId }: Operator, { params, body, assertChangeable }) => {
        const { requests_per_hour: requestsPerHour, burst = requestsPerHour } = body;
        const plan = { name: params.name, requestsPerHour, burst };
        const assertPlan =
          assertChangeable && ((known: Plan | null) => assertChangeable(known && view(known)));
        const created = await plans.putPlan(plan, requestId, assertPlan);
        return resource(created ? 201 : 200, view(plan));
      },
    ),
  ];
}

function view({ name, requestsPerHour, burst }: Plan) {
  return { name, requests_per_hour: requestsPerHour, burst };
}
