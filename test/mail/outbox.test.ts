import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { Email } from '../../src/mail/mail.ts';
import { type Failure, type GivenUp, Outbox, type OutboxStore } from '../../src/mail/outbox.ts';
import { SmtpMail } from '../../src/mail/smtp_mail.ts';
import { SmtpSink } from '../support/smtp_sink.ts';
import { until } from '../support/until.ts';

/** A store in memory, in which a failed email does not become due again. */
class MemoryStore implements OutboxStore {
  readonly due: Email[] = [];
  readonly sentIds: string[] = [];
  readonly failures = new Map<string, string>();
  readonly claims: number[] = [];
  down = false;

  async claim(limit: number): Promise<Email[]> {
    if (this.down) throw new Error('the store is down');
    const emails = this.due.splice(0, limit);
    this.claims.push(emails.length);
    return emails;
  }

  async sent(id: string): Promise<void> {
    this.sentIds.push(id);
  }

  async failed(id: string, { message, permanent }: Failure): Promise<GivenUp | null> {
    this.failures.set(id, message);
    return permanent ? { id, tenant: 'acme-pets', attempts: 1, error: message } : null;
  }
}

function email(id: string, to = 'ada@example.org'): Email {
  return { id, to, subject: 'Welcome', text: 'Hello' };
}

describe('Outbox', () => {
  let sink: SmtpSink;
  before(async () => {
    sink = await SmtpSink.start();
  });
  after(() => sink.close());
  beforeEach(() => {
    sink.received.splice(0);
    sink.mute = false;
  });

  function outbox({ intervalMs = 60_000, sendMs = 20_000 } = {}) {
    const limits = { connectionMs: 20_000, greetingMs: 20_000, silenceMs: 20_000 };
    const mail = new SmtpMail({ url: sink.url, from: 'kennel@example.org', ...limits });
    const store = new MemoryStore();
    const errors: unknown[] = [];
    const onError = (error: unknown) => errors.push(error);
    const givenUp: string[] = [];
    const onGivenUp = ({ id }: GivenUp) => givenUp.push(id);
    const sender = new Outbox({ store, mail, batch: 3, intervalMs, sendMs, onError, onGivenUp });
    return { sender, store, errors, givenUp };
  }

  it('sends all due emails, one batch at a time', async () => {
    const { sender, store } = outbox();
    for (let index = 0; index < 7; index += 1) store.due.push(email(`l-${index}`));
    await sender.flush(60_000);
    assert.equal(sink.received.length, 7);
    assert.equal(store.sentIds.length, 7);
    assert.deepEqual(store.claims, [3, 3, 1]);
    await sender.close();
  });

  it('sends the others when one email is bad', async () => {
    const { sender, store } = outbox();
    store.due.push(email('bad', 'no address'), email('refused', 'nobody@example.org'), email('l'));
    sink.refused.add('nobody@example.org');
    await sender.flush(60_000);
    assert.deepEqual(store.sentIds, ['l']);
    assert.deepEqual([...store.failures.keys()].sort(), ['bad', 'refused']);
    assert.match(store.failures.get('refused') ?? '', /550/);
    await sender.close();
  });

  it('reports each email that is given up, and counts all outcomes', async () => {
    const { sender, store, givenUp } = outbox();
    store.due.push(email('good'), email('bad', 'no address'));
    store.due.push(email('refused', 'nobody@example.org'), email('later', 'busy@example.org'));
    sink.refused.add('nobody@example.org');
    sink.deferred.add('busy@example.org');
    await sender.flush(60_000);
    assert.deepEqual(givenUp.sort(), ['bad', 'refused']);
    assert.deepEqual(sender.stats, { sent: 1, failedAttempts: 3, givenUp: 2 });
    await sender.close();
  });

  it('waits for its interval when a whole batch failed', async () => {
    const { sender, store } = outbox();
    for (let index = 0; index < 4; index += 1) store.due.push(email(`l-${index}`, 'no address'));
    await sender.flush(60_000);
    assert.deepEqual(store.claims, [3]);
    await sender.close();
  });

  it('polls again at its interval, also after the store was down', async () => {
    const { sender, store, errors } = outbox({ intervalMs: 5 });
    store.down = true;
    sender.kick();
    await until(() => errors.length > 1);
    store.down = false;
    store.due.push(email('l-1'));
    await until(() => store.sentIds.length === 1);
    await sender.close();
  });

  it('sends an email that a kick announced during a round', async () => {
    const { sender, store } = outbox();
    store.due.push(email('l-1'));
    sender.kick();
    await until(() => store.claims.length === 1);
    store.due.push(email('l-2'));
    sender.kick();
    await until(() => store.sentIds.length === 2);
    await sender.close();
  });

  it('fails an email that takes too long', async () => {
    sink.mute = true;
    const { sender, store } = outbox({ sendMs: 50 });
    store.due.push(email('l-1'));
    await sender.flush(60_000);
    assert.match(store.failures.get('l-1') ?? '', /timeout of 50 ms/);
    await sender.close();
  });

  it('ends a flush in time, and fails emails in progress when it closes', async () => {
    sink.mute = true;
    const { sender, store } = outbox({ sendMs: 60_000 });
    store.due.push(email('l-1'));
    await sender.flush(50);
    assert.equal(store.failures.size, 0);
    await sender.close();
    assert.match(store.failures.get('l-1') ?? '', /the outbox is closing/);
  });

  it('sends nothing once it is closed', async () => {
    const { sender, store } = outbox();
    await sender.close();
    store.due.push(email('l-1'));
    await sender.flush(50);
    assert.deepEqual(store.claims, []);
  });
});
