/**
 * Two careless handlers, and a kernel whose guards can be taken off. They exist in the command's own Kennel
 * alone. Requests come one after the other, so the latest name is the one in progress.
 */
import * as v from 'valibot';
import type { Alter } from '../../app.ts';
import { json } from '../../http/reply.ts';
import { type Route, route } from '../../http/route.ts';
import { Router } from '../../http/router.ts';
import type { Context, Directory } from '../../kernel/ports.ts';
import type { TenantId } from '../../kernel/tenant.ts';
import { limits } from '../../limits.ts';
import { keywordsIn } from '../../postgres/connection_url.ts';
import { causeOf } from '../../postgres/errors.ts';
import { sessionUrlOf } from '../../postgres/session_url.ts';
import type { Services } from '../../services.ts';

export type Guard = 'authenticate' | 'authorize';

const search = v.object({ text: v.string() });
const all = v.object({ schema: v.string() });

export class Careless {
  /** The guards that are taken off. */
  readonly off = new Set<Guard>();
  /** The id of each tenant, by its slug. */
  readonly ids = new Map<string, TenantId>();
  /** The latest error of a careless handler, which clients never see. */
  message: string | null = null;
  #named = '';
  #services: Services | null = null;

  readonly alter: Alter = (parts, services) => {
    this.#services = services;
    const router = new Router<Context>(this.#routes(services), limits.http);
    return {
      ...parts,
      resolvers: parts.resolvers.map((resolver): typeof resolver => (facts) => {
        const claims = resolver(facts);
        this.#named = claims[0]?.slug ?? this.#named;
        return claims;
      }),
      directory: this.#directory(parts.directory),
      routes: (request, path) =>
        path.startsWith('/api/careless/')
          ? router.match(request, path)
          : parts.routes(request, path),
    };
  };

  get services(): Services {
    if (this.#services) return this.#services;
    throw new Error('Cannot use the services: the server is not open yet');
  }

  /** Trusts the name of the tenant where a guard is off. */
  #directory(directory: Directory): Directory {
    return {
      caller: async (authorization, trace) => {
        const tenant = this.ids.get(this.#named);
        if (!this.off.has('authenticate') || !tenant) return directory.caller(authorization, trace);
        const user = { id: tenant, email: 'anyone@example.com', role: 'admin' as const };
        return { user, keyId: tenant, tenantId: tenant };
      },
      tenant: (id, trace) => {
        const named = this.off.has('authorize') ? this.ids.get(this.#named) : undefined;
        return directory.tenant(named ?? id, trace);
      },
    };
  }

  #routes({ fleet, pools }: Services): Route<Context>[] {
    return [
      /** The text of the client is in the middle of the statement. */
      route('POST', '/api/careless/search', { body: search }, ({ db }, { body }) =>
        this.#tell(() =>
          db(constant(`select id::text, name from pets where name = '${body.text}'`)),
        ),
      ),

      /** Not `db` but a connection of its own, whose session begins without a context. */
      route('POST', '/api/careless/all', { body: all }, ({ tenant }, { body }) => {
        const { url } = fleet.modes.placementOf(tenant);
        const { search_path: _path, 'kennel.tenant': _context, ...bare } = keywordsIn(url);
        return this.#tell(() =>
          pools.serving.exclusive(sessionUrlOf(bare), tenant.id, (connection) =>
            connection.plain(constant(`select id::text, name from "${body.schema}".pets`)),
          ),
        );
      }),
    ];
  }

  async #tell(read: () => Promise<object[]>) {
    this.message = null;
    try {
      return json(200, { rows: await read() });
    } catch (error) {
      this.message = causeOf(error).message;
      throw error;
    }
  }
}

/** The vulnerability: a text of the client becomes one of the code. */
function constant(text: string): TemplateStringsArray {
  return Object.assign([text], { raw: [text] });
}
