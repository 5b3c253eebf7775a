/** Opens the services of a server, on a database that isolates tenants. */
import type { Config } from './config.ts';
import { oneLine } from './control_plane/doctor/one_line.ts';
import { assertIsolation } from './control_plane/doctor/start.ts';
import { assertLoginsAdmitted } from './control_plane/provisioning/usable_server.ts';
import { limits } from './limits.ts';
import type { Log } from './observability/log.ts';
import { openServices, type Services } from './services.ts';

/**
 * Opens the services.
 *
 * @throws {Error} when Postgres rejects a login, or the doctor finds the database unsafe.
 */
export async function openSafeServices(
  config: Config,
  adminUrl: string,
  log: Log,
): Promise<Services> {
  const services = await openServices(config, adminUrl, {
    onUnterminated: ({ pid, login }, tenant) =>
      log.warn(
        'a backend cannot be terminated; it keeps a connection of its tenant until it ends',
        { pid, login, tenant_id: tenant },
      ),
  });
  try {
    await assertLoginsAdmitted(services.fleet.installation, services.pools);
    await assertIsolation(services, {
      ...limits.doctor,
      warn: ({ check, where, what, fix, database, more }) =>
        log.warn(`${where}: ${what}`, {
          check,
          where,
          database,
          ...(more > 0 && { more_databases: more }),
          fix: fix && oneLine(fix),
        }),
    });
    return services;
  } catch (error) {
    services.close();
    throw error;
  }
}
