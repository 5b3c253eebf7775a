/**
 * The store of the outbox: a table. A claim moves `next_attempt_at` into the future, so it expires by
 * itself. An email that is given up is due at infinity; its row stays, with the error, for the operator.
 */
import type { Db } from '../kernel/ports.ts';
import type { Email } from './mail.ts';
import type { GivenUp, OutboxStore } from './outbox.ts';

export type PostgresOutboxOptions = {
  /** An email is given up this long after it was written (RFC 5321, 4.5.4.1: at least 4 to 5 days). */
  giveUpAfterMs: number;
  /** Characters of an error that are stored. */
  errorChars: number;
};

export function postgresOutbox(
  control: Db,
  { giveUpAfterMs, errorChars }: PostgresOutboxOptions,
): OutboxStore {
  return {
    claim: (limit) => control<Email>`
      update control.outbox
      set attempts = attempts + 1,
        next_attempt_at = now() + least(power(2, attempts), 360) * interval '10 seconds'
      where id in (
        select id from control.outbox
        where sent_at is null and next_attempt_at <= now()
        order by next_attempt_at
        limit ${limit}
        for update skip locked
      )
      returning id, recipient as "to", subject, body as text`,
    sent: async (id) => {
      await control`update control.outbox set sent_at = now(), last_error = null where id = ${id}`;
    },
    failed: async (id, { message, permanent }) => {
      const [row] = await control<GivenUp & { given_up: boolean }>`
        update control.outbox
        set last_error = ${message.slice(0, errorChars)},
          next_attempt_at = case
            when ${permanent}::boolean
              or outbox.created_at < now() - ${giveUpAfterMs}::float8 * interval '1 millisecond'
            then 'infinity'
            else next_attempt_at
          end
        from control.tenants
        where outbox.id = ${id} and tenants.id = outbox.tenant_id
        returning outbox.id, tenants.slug as tenant, attempts, last_error as error,
          next_attempt_at = 'infinity' as given_up`;
      if (!row?.given_up) return null;
      const { tenant, attempts, error } = row;
      return { id, tenant, attempts, error };
    },
  };
}
