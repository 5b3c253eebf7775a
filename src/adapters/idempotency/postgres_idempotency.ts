/**
 * Stores the first reply for each Idempotency-Key, in the tenant's account, protected by the sealed
 * context and row security. The tenant's tables may be in another database, so the work and its reply
 * cannot commit together. Instead, a key is claimed with the id of the row to make: a second attempt
 * after a crash makes the row with that id, or finds it.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { type Connections, openTenantDb } from '../../isolation/tenant_db.ts';
import { Refusal } from '../../kernel/errors.ts';
import type { Attempt, Db, Idempotency, Reply } from '../../kernel/ports.ts';
import type { Installation } from '../../postgres/installation.ts';

export type IdempotencyOptions = {
  /** How long a first reply is returned again. */
  keptMs: number;
  /** How long an attempt may take before another one may replace it. */
  claimMs: number;
  newId: () => string;
};

type Claim = { id: string; attempts: number };

export function postgresIdempotency(
  connections: Connections,
  installation: Installation,
  options: IdempotencyOptions,
): Idempotency {
  return {
    once: ({ tenant, userId }, { key, sent }, work, trace) => {
      const open = async (db: Db) => {
        const secret = (use: string) =>
          installation.idempotencySecret(`${use} ${tenant.id} ${userId} ${key}`);
        const keys = new Keys(db, secret('digest'), options);
        const fingerprint = createHash('sha256').update(sent).digest();
        const claim = await keys.claim(fingerprint);
        if (!claim) return opened(await keys.answer(fingerprint), secret('answer'));
        const reply = await attempt(keys, claim, () => work(attemptOf(claim, secret)));
        // If this fails, the next attempt finds the row that this one has made.
        await keys.keep(claim, sealed(reply, secret('answer'))).catch(() => {});
        return reply;
      };
      return openTenantDb(connections, installation.account, tenant.id, open, trace);
    },
  };
}

/** Each attempt gets the same id and the same secret, which is derived and not stored. */
function attemptOf({ id, attempts }: Claim, secret: (use: string) => Buffer): Attempt {
  return { newId: () => id, newSecret: () => secret(`secret ${id}`), retried: attempts > 1 };
}

/** After a refusal nothing was done, so the key is free again. After other failures that is unknown. */
async function attempt(keys: Keys, claim: Claim, work: () => Promise<Reply>): Promise<Reply> {
  try {
    return await work();
  } catch (error) {
    const refused = error instanceof Refusal && !['unavailable', 'internal'].includes(error.code);
    const released = refused && claim.attempts === 1 ? keys.forget(claim) : keys.yield(claim);
    await released.catch(() => {});
    throw error;
  }
}

/** The row of one key. */
class Keys {
  readonly #db: Db;
  readonly #digest: Buffer;
  readonly #options: IdempotencyOptions;

  constructor(db: Db, digest: Buffer, options: IdempotencyOptions) {
    this.#db = db;
    this.#digest = digest;
    this.#options = options;
  }

  /** Returns null when the key has a reply, belongs to another request, or is claimed by another attempt. */
  async claim(fingerprint: Buffer): Promise<Claim | null> {
    const { keptMs, claimMs, newId } = this.#options;
    const [claim] = await this.#db<Claim>`
      insert into idempotency_keys as kept (key_digest, fingerprint, made_id, claimed_until)
      values (
        ${this.#digest}, ${fingerprint}, ${newId()}, now() + ${claimMs} * interval '1 millisecond'
      )
      on conflict on constraint idempotency_keys_pkey do update
      set (fingerprint, claimed_until, answer, made_id, attempts, created_at) = (
        select excluded.fingerprint, excluded.claimed_until, null::bytea,
          case when over then excluded.made_id else kept.made_id end,
          case when over then 1 else kept.attempts + 1 end,
          case when over then now() else kept.created_at end
        from (select kept.created_at <= now() - ${keptMs} * interval '1 millisecond') as age (over)
      )
      where kept.created_at <= now() - ${keptMs} * interval '1 millisecond'
        or kept.answer is null
          and kept.fingerprint = excluded.fingerprint
          and kept.claimed_until <= now()
      returning made_id as id, attempts`;
    return claim ?? null;
  }

  /** @throws {Refusal} `invalid_input` for another request, `conflict` while there is no reply. */
  async answer(fingerprint: Buffer): Promise<Buffer> {
    const [row] = await this.#db<{ fingerprint: Buffer; answer: Buffer | null }>`
      select fingerprint, answer from idempotency_keys where key_digest = ${this.#digest}`;
    if (row && !row.fingerprint.equals(fingerprint)) {
      throw new Refusal('invalid_input', {
        detail: 'This Idempotency-Key was used for another request',
      });
    }
    if (row?.answer) return row.answer;
    throw new Refusal('conflict', {
      detail: 'A request with this Idempotency-Key is in progress; try again later',
      retryAfterSeconds: 1,
    });
  }

  async keep({ id }: Claim, answer: Buffer): Promise<void> {
    await this.#db`
      update idempotency_keys set answer = ${answer}
      where key_digest = ${this.#digest} and made_id = ${id} and answer is null`;
  }

  /** Makes the key unused. Maintenance removes the row. */
  async forget({ id, attempts }: Claim): Promise<void> {
    await this.#db`
      update idempotency_keys set created_at = '-infinity'
      where key_digest = ${this.#digest} and made_id = ${id} and attempts = ${attempts}
        and answer is null`;
  }

  /** Ends the claim, so that the next attempt need not wait. */
  async yield({ id, attempts }: Claim): Promise<void> {
    await this.#db`
      update idempotency_keys set claimed_until = now()
      where key_digest = ${this.#digest} and made_id = ${id} and attempts = ${attempts}
        and answer is null`;
  }
}

const [cipher, ivBytes, tagBytes] = ['aes-256-gcm', 12, 16] as const;

/** A reply may hold an API key, so it is encrypted. The secret depends on the client's own key. */
function sealed(reply: Reply, secret: Buffer): Buffer {
  const iv = randomBytes(ivBytes);
  const encryption = createCipheriv(cipher, secret, iv);
  const text = encryption.update(JSON.stringify(reply), 'utf8');
  return Buffer.concat([iv, text, encryption.final(), encryption.getAuthTag()]);
}

function opened(answer: Buffer, secret: Buffer): Reply {
  const decryption = createDecipheriv(cipher, secret, answer.subarray(0, ivBytes));
  decryption.setAuthTag(answer.subarray(-tagBytes));
  const text = decryption.update(answer.subarray(ivBytes, -tagBytes));
  return JSON.parse(Buffer.concat([text, decryption.final()]).toString());
}
