/** A Kennel of the command's own, with two tenants in each isolation mode, which ends with the command. */
import { randomBytes } from 'node:crypto';
import type { Config } from '../../config.ts';
import type { Explanation } from '../../explain/explanation.ts';
import { type IsolationModeName, isolationModes } from '../../isolation/modes.ts';
import { tenantId } from '../../kernel/tenant.ts';
import { limits } from '../../limits.ts';
import type { Log } from '../../observability/log.ts';
import { Connection } from '../../postgres/connection.ts';
import { keywordsIn } from '../../postgres/connection_url.ts';
import { sessionUrlOf } from '../../postgres/session_url.ts';
import { ServerProcess } from '../../server_process.ts';
import { Careless } from './careless.ts';
import { bearer, type Received, type Sent, send } from './client.ts';
import { openOwnDatabase } from './own_database.ts';

export type OwnTenant = { slug: string; id: string; apiKey: string };

/** The tenant whose request is explained, its pet, and another tenant in the same mode. */
export type Pair = { mode: IsolationModeName; tenant: OwnTenant; petId: string; other: OwnTenant };

type Parts = { careless: Careless; url: string; adminToken: string; adminUrl: string };

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {}, flush: async () => {} };

export class OwnKennel {
  readonly careless: Careless;
  readonly #url: string;
  readonly #adminToken: string;
  readonly #adminUrl: string;

  private constructor(parts: Parts) {
    this.careless = parts.careless;
    this.#url = parts.url;
    this.#adminToken = parts.adminToken;
    this.#adminUrl = parts.adminUrl;
  }

  /** Starts it, and stops and removes it after `work`. */
  static async run<Result>(
    config: Config,
    work: (kennel: OwnKennel) => Promise<Result>,
  ): Promise<Result> {
    const interruption = new Interruption();
    const database = await openOwnDatabase(config);
    const careless = new Careless();
    const adminToken = randomBytes(32).toString('hex');
    let url = '';
    const server = new ServerProcess(
      {
        ...config,
        ...{ host: '127.0.0.1', port: 0, baseDomain: 'localhost', adminToken, demo: false },
        ...{ databaseUrl: database.url, dataFolder: database.folder },
        ...{ redisUrl: null, smtpUrl: null, resolution: ['subdomain', 'path', 'header'] as const },
      },
      quiet,
      (listening) => {
        url = listening;
      },
      { plans: true, alter: careless.alter },
    );
    const started = async () => {
      await server.start();
      return work(new OwnKennel({ careless, url, adminToken, adminUrl: database.url }));
    };
    try {
      return await Promise.race([started(), interruption.rejected]);
    } finally {
      await server
        .stop({ delayMs: 0, idleMs: 0 })
        .finally(() => database.remove())
        .finally(() => interruption.ignore());
    }
  }

  /** Makes the tenants of all modes. */
  async pairs(): Promise<Pair[]> {
    const pairs: Pair[] = [];
    for (const mode of isolationModes) {
      const tenant = await this.#onboard(`${mode}-zoo`, mode);
      const other = await this.#onboard(`${mode}-other`, mode);
      pairs.push({ mode, tenant, petId: await this.addPet(tenant), other });
    }
    return pairs;
  }

  /** Sends a request that names a tenant by its host. */
  send(slug: string, apiKey: string | null, sent: Sent): Promise<Received> {
    const host = `${slug}.localhost`;
    const key = apiKey === null ? {} : bearer(apiKey);
    return send(this.#url, { ...sent, headers: { host, ...key, ...sent.headers } });
  }

  /** Sends a request, and returns its explanation and the text of its reply. */
  async explain(
    slug: string,
    apiKey: string | null,
    sent: Sent,
  ): Promise<{ explanation: Explanation; text: string }> {
    const headers = { 'kennel-explain': '1' };
    const { requestId, text } = await this.send(slug, apiKey, { ...sent, headers });
    const explained = await this.#operate('GET', `/api/admin/explain/${requestId}`);
    if (explained.status !== 200) {
      throw new Error(`Cannot explain ${sent.method} ${sent.path}: it passed no stage (${text})`);
    }
    return { explanation: JSON.parse(explained.text), text };
  }

  /** Runs work on a connection of the administrator in one of the databases. */
  async asAdmin<Result>(
    database: string,
    work: (admin: Connection) => Promise<Result>,
  ): Promise<Result> {
    const url = sessionUrlOf({ ...keywordsIn(this.#adminUrl), dbname: database });
    const admin = await Connection.open(url, limits.adminConnection);
    try {
      return await work(admin);
    } finally {
      admin.close();
    }
  }

  /** Returns the id of a new pet. */
  async addPet({ slug, apiKey }: OwnTenant): Promise<string> {
    const body = JSON.stringify({ name: 'Rex', species: 'dog' });
    const { text } = await this.send(slug, apiKey, { method: 'POST', path: '/api/pets', body });
    return JSON.parse(text).id;
  }

  /** Makes a tenant whose plan allows two requests per hour. */
  async onboardOnSmallPlan(): Promise<OwnTenant> {
    await this.#operate('PUT', '/api/admin/plans/small', { requests_per_hour: 2 });
    return this.#onboard('small-zoo', isolationModes[0], 'small');
  }

  async #onboard(slug: string, isolation: string, plan = 'premium'): Promise<OwnTenant> {
    const order = { slug, name: slug, plan, isolation };
    const { status, text } = await this.#operate('POST', '/api/admin/tenants', order);
    if (status !== 201) throw new Error(`Cannot create "${slug}": ${text}`);
    const { tenant, admin } = JSON.parse(text);
    this.careless.ids.set(slug, tenantId(tenant.id));
    return { slug, id: tenant.id, apiKey: admin.api_key };
  }

  #operate(method: string, path: string, body?: object): Promise<Received> {
    const headers = bearer(this.#adminToken);
    return send(this.#url, { method, path, headers, body: body ? JSON.stringify(body) : null });
  }
}

/** A signal while the command runs. It must not end the process before all is removed. */
class Interruption {
  readonly rejected: Promise<never>;
  #onSignal = () => {};

  constructor() {
    this.rejected = new Promise((_resolve, reject) => {
      this.#onSignal = () => reject(new Error('Cannot explain the request: it was interrupted'));
    });
    // It may be rejected before it is awaited.
    this.rejected.catch(() => {});
    for (const signal of signals) process.on(signal, this.#onSignal);
  }

  ignore(): void {
    for (const signal of signals) process.off(signal, this.#onSignal);
  }
}
