/**
 * The common part of the baselines: `node:http` and three routes, as written without a framework. Neither
 * tenants nor input are checked. The replies are the same as Kennel's, byte for byte.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { v7 as uuidv7 } from 'uuid';

export type NewPet = { id: string; name: string; species: string };

/** The statements of one baseline. The tenant id of the request is trusted. */
export type PetStore = {
  read(tenant: string, id: string): Promise<object[]>;
  list(tenant: string, limit: number): Promise<{ id: string }[]>;
  create(tenant: string, pet: NewPet): Promise<object[]>;
};

type Route = (incoming: IncomingMessage) => Promise<{ status: number; body: unknown }>;

const pageSize = 20;

/** Serves until the process ends, and prints the URL. */
export function servePets(store: PetStore): void {
  serve(async (incoming) => {
    const { method, url = '' } = incoming;
    const tenant = String(incoming.headers['x-tenant-id']);
    if (method === 'POST') {
      const pet = JSON.parse(await text(incoming));
      const [created] = await store.create(tenant, { ...pet, id: uuidv7() });
      return { status: 201, body: created };
    }
    if (url === '/api/pets') {
      return { status: 200, body: page(await store.list(tenant, pageSize + 1)) };
    }
    const [pet] = await store.read(tenant, url.slice('/api/pets/'.length));
    return pet ? { status: 200, body: pet } : { status: 404, body: {} };
  });
}

/** Serves one handler on a free port. */
export function serve(route: Route): void {
  const server = createServer((incoming, outgoing) => {
    route(incoming).then(
      ({ status, body }) => reply(outgoing, status, JSON.stringify(body)),
      (error) => {
        process.stderr.write(`${error}\n`);
        reply(outgoing, 500, '{}');
      },
    );
  });
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    process.stdout.write(`{"url":"http://127.0.0.1:${port}"}\n`);
  });
}

function page(pets: { id: string }[]) {
  const items = pets.slice(0, pageSize);
  const last = pets.length > pageSize ? items.at(-1) : undefined;
  const cursor = last && Buffer.from(JSON.stringify([last.id])).toString('base64url');
  return { items, next_cursor: cursor ?? null };
}

function reply(outgoing: ServerResponse, status: number, body: string): void {
  outgoing.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  });
  outgoing.end(body);
}
