/** The caller: its user and its tenant. */
import { resource } from '../http/reply.ts';
import { route } from '../http/route.ts';

export const meRoutes = [
  route('GET', '/api/me', {}, async ({ tenant, caller }) => {
    const { id, slug, name, plan, status, isolation, settings } = tenant;
    return resource(200, {
      tenant: { id, slug, name, plan: plan.name, status, isolation },
      user: caller.user,
      welcome_message: settings.welcome_message,
    });
  }),
];
