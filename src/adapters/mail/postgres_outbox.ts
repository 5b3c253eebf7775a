/** The outbox table as the sender sees it. A claim is a date in the future: it expires by itself. */
import type { Db } from '../../kernel/ports.ts';
import type { Letter } from './mail.ts';
import type { OutboxStore } from './outbox.ts';

export function postgresOutbox(control: Db): OutboxStore {
  return {
    claim: (limit) => control<Letter>`
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
    failed: async (id, message) => {
      await control`update control.outbox set last_error = ${message} where id = ${id}`;
    },
  };
}
