/** Who am I, and where. */
import { json } from '../http/reply.ts';
import { route } from '../http/route.ts';

export const meRoutes = [
  route('GET', '/api/me', {}, async ({ tenant, caller }) => {
    const { id, slug, name, plan, status, isolation } = tenant;
    return json(200, {
      tenant: { id, slug, name, plan: plan.name, status, isolation },
      user: caller.user,
    });
  }),
];
