import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { smtpServer } from '../../src/mail/smtp_url.ts';

const plain = { secure: false, requireTLS: false, ignoreTLS: false };
const named = { rejectUnauthorized: true, servername: 'h' };

describe('smtpServer()', () => {
  for (const [url, server] of [
    ['smtp://h', { ...plain, host: 'h', tls: named }],
    ['smtps://h:465/', { ...plain, secure: true, host: 'h', port: 465, tls: named }],
    ['smtp://[::1]:25', { ...plain, host: '::1', port: 25, tls: { rejectUnauthorized: true } }],
    [
      'smtp://a%40b:p%25%2F@h:587?requireTLS=true&name=us.example',
      {
        ...plain,
        host: 'h',
        port: 587,
        auth: { user: 'a@b', pass: 'p%/' },
        name: 'us.example',
        requireTLS: true,
        tls: named,
      },
    ],
    [
      'smtps://h?tls.rejectUnauthorized=false&tls.servername=x',
      { ...plain, secure: true, host: 'h', tls: { rejectUnauthorized: false, servername: 'x' } },
    ],
  ] as const) {
    it(`reads ${url}`, () => assert.deepEqual(smtpServer(url), server));
  }

  for (const url of [
    'http://h',
    'smtp://',
    'smtp://u:secret%@h',
    'smtp://u:secret@h/path',
    'smtp://u:secret@h?socketTimeout=0',
    'smtp://u:secret@h?requireTLS=maybe',
  ]) {
    it(`refuses ${url} without its password in the message`, () => {
      assert.throws(
        () => smtpServer(url),
        ({ message }: Error) => message.startsWith('expected ') && !message.includes('secret'),
      );
    });
  }
});
