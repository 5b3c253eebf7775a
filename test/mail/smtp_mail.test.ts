import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { PermanentMailError } from '../../src/mail/mail.ts';
import { SmtpMail } from '../../src/mail/smtp_mail.ts';
import { SmtpSink } from '../support/smtp_sink.ts';
import { until } from '../support/until.ts';

const email = { id: 'l-1', to: 'ada@example.org', subject: 'Welcome', text: 'Hello' };
const { signal } = new AbortController();

function mailTo(url: string, limitMs = 20_000): SmtpMail {
  const limits = { connectionMs: limitMs, greetingMs: limitMs, silenceMs: limitMs };
  return new SmtpMail({ url, from: 'kennel@example.org', ...limits });
}

describe('SmtpMail', () => {
  let sink: SmtpSink;
  before(async () => {
    sink = await SmtpSink.start();
  });
  after(() => sink.close());
  beforeEach(() => sink.received.splice(0));

  it('hands the email to the server', async () => {
    await mailTo(sink.url).send(email, signal);
    const [received] = sink.received;
    assert.equal(received?.from, 'kennel@example.org');
    assert.deepEqual(received?.to, ['ada@example.org']);
    assert.ok(received?.lines.includes('Subject: Welcome'));
    assert.ok(received?.lines.includes('Hello'));
  });

  it('sends a repeated email with the same Message-ID', async () => {
    const mail = mailTo(sink.url);
    await mail.send(email, signal);
    await mail.send(email, signal);
    const ids = sink.received.map(({ lines }) => lines.find((line) => /^Message-ID/.test(line)));
    assert.deepEqual(ids, ['Message-ID: <l-1@example.org>', 'Message-ID: <l-1@example.org>']);
  });

  it('treats a refused recipient as permanent, and a deferred one as temporary', async () => {
    sink.refused.add('gone@example.org');
    sink.deferred.add('busy@example.org');
    const failureOf = (to: string) =>
      mailTo(sink.url)
        .send({ ...email, to }, signal)
        .catch((error: unknown) => error);
    assert.ok((await failureOf('gone@example.org')) instanceof PermanentMailError);
    assert.ok(!((await failureOf('busy@example.org')) instanceof PermanentMailError));
  });

  it('treats a missing login as temporary, because an operator can fix it', async () => {
    sink.senderReply = '530 authentication required';
    const failure = await mailTo(sink.url)
      .send(email, signal)
      .catch((error: unknown) => error);
    sink.senderReply = '250 fine';
    assert.match(String(failure), /530/);
    assert.ok(!(failure instanceof PermanentMailError));
  });

  it('does not let a subject add headers or recipients', async () => {
    const subject = 'Welcome, Paws\r\nBcc: eve@example.org\r\n\r\nBuy now';
    await mailTo(sink.url).send({ ...email, subject }, signal);
    const [received] = sink.received;
    const headers = received?.lines.slice(0, received.lines.indexOf('')) ?? [];
    assert.deepEqual(received?.to, ['ada@example.org']);
    assert.ok(headers.includes('Subject: Welcome, Paws Bcc: eve@example.org Buy now'));
    assert.deepEqual(
      headers.filter((line) => /^Bcc/i.test(line)),
      [],
    );
  });

  it('sends nothing for an address with a line break', async () => {
    const to = 'ada@example.org>\r\nRCPT TO:<eve@example.org';
    await assert.rejects(mailTo(sink.url).send({ ...email, to }, signal), /is not a plain address/);
    assert.deepEqual(sink.received, []);
  });

  it('escapes a lone dot in the text', async () => {
    await mailTo(sink.url).send({ ...email, text: 'a\n.\nb' }, signal);
    assert.equal(sink.received.length, 1);
    assert.ok(sink.received[0]?.lines.includes('..'));
  });

  it('rejects when the server refuses the recipient', async () => {
    sink.refused.add('nobody@example.org');
    const sending = mailTo(sink.url).send({ ...email, to: 'nobody@example.org' }, signal);
    await assert.rejects(sending, /550 nobody of that name/);
  });

  it('gives up on a silent server', async () => {
    sink.mute = true;
    await assert.rejects(
      mailTo(sink.url, 50).send(email, signal),
      /Greeting never received|Timeout/,
    );
    sink.mute = false;
  });

  it('gives up and closes the connection when the signal aborts', async () => {
    sink.mute = true;
    await assert.rejects(mailTo(sink.url).send(email, AbortSignal.timeout(50)), /abort/i);
    sink.mute = false;
    await until(() => sink.openConnections === 0);
  });
});
