/** All attacks, in the order in which a request meets the layers that stop them. */
import type { Attack } from './attack.ts';
import { context } from './attacks/context.ts';
import { credentials } from './attacks/credentials.ts';
import { ids } from './attacks/ids.ts';
import { injected } from './attacks/injected.ts';
import { naming } from './attacks/naming.ts';
import { resources } from './attacks/resources.ts';
import { servers } from './attacks/servers.ts';
import { session } from './attacks/session.ts';

export const attacks: readonly Attack[] = [
  ...naming,
  ...credentials,
  ...ids,
  ...injected,
  ...context,
  ...resources,
  ...servers,
  ...session,
];
