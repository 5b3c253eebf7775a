import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { SmtpMail } from '../../../src/adapters/mail/smtp_mail.ts';
import { SmtpSink } from '../../support/smtp_sink.ts';

const letter = { id: 'l-1', to: 'ada@example.org', subject: 'Welcome', text: 'Hello' };
const { signal } = new AbortController();

function mailTo(url: string, limitMs = 2_000): SmtpMail {
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

  it('hands the letter to the server', async () => {
    await mailTo(sink.url).send(letter, signal);
    const [received] = sink.received;
    assert.equal(received?.from, 'kennel@example.org');
    assert.deepEqual(received?.to, ['ada@example.org']);
    assert.ok(received?.lines.includes('Subject: Welcome'));
    assert.ok(received?.lines.includes('Hello'));
  });

  it('gives a repeated sending the same Message-ID', async () => {
    const mail = mailTo(sink.url);
    await mail.send(letter, signal);
    await mail.send(letter, signal);
    const ids = sink.received.map(({ lines }) => lines.find((line) => /^Message-ID/.test(line)));
    assert.deepEqual(ids, ['Message-ID: <l-1@example.org>', 'Message-ID: <l-1@example.org>']);
  });

  it('lets no name add a header or a recipient', async () => {
    const subject = 'Welcome, Paws\r\nBcc: eve@example.org\r\n\r\nBuy now';
    await mailTo(sink.url).send({ ...letter, subject }, signal);
    const [received] = sink.received;
    const headers = received?.lines.slice(0, received.lines.indexOf('')) ?? [];
    assert.deepEqual(received?.to, ['ada@example.org']);
    assert.ok(headers.includes('Subject: Welcome, Paws Bcc: eve@example.org Buy now'));
    assert.deepEqual(
      headers.filter((line) => /^Bcc/i.test(line)),
      [],
    );
  });

  it('never speaks to the server about an address with a line break', async () => {
    const to = 'ada@example.org>\r\nRCPT TO:<eve@example.org';
    await assert.rejects(mailTo(sink.url).send({ ...letter, to }, signal), /is no plain address/);
    assert.deepEqual(sink.received, []);
  });

  it('keeps a lone dot within the text', async () => {
    await mailTo(sink.url).send({ ...letter, text: 'a\n.\nb' }, signal);
    assert.equal(sink.received.length, 1);
    assert.ok(sink.received[0]?.lines.includes('..'));
  });

  it('rejects when the server refuses the recipient', async () => {
    sink.refused.add('nobody@example.org');
    const sending = mailTo(sink.url).send({ ...letter, to: 'nobody@example.org' }, signal);
    await assert.rejects(sending, /550 nobody of that name/);
  });

  it('gives up a server that says nothing', async () => {
    sink.mute = true;
    await assert.rejects(
      mailTo(sink.url, 50).send(letter, signal),
      /Greeting never received|Timeout/,
    );
    sink.mute = false;
  });

  it('gives up, and hangs up, when the signal aborts', async () => {
    sink.mute = true;
    await assert.rejects(mailTo(sink.url).send(letter, AbortSignal.timeout(50)), /abort/i);
    sink.mute = false;
    for (let turn = 0; turn < 1_000 && sink.openConnections > 0; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(sink.openConnections, 0);
  });
});
