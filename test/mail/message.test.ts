import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { message } from '../../src/mail/message.ts';

const email = { id: 'l-1', to: 'ada@example.org', subject: 'Welcome', text: 'Hello' };

describe('message()', () => {
  it('makes the Message-ID from the id', () => {
    assert.equal(message(email, 'kennel@example.org').messageId, '<l-1@example.org>');
  });

  const addresses = [
    'ada',
    'ada@',
    'ada@example.org\r\nBcc: eve@example.org',
    'ada@example.org\n',
    'ada@example.org, eve@example.org',
    'Ada <ada@example.org>',
    'ada@example.org>\r\nRCPT TO:<eve@example.org',
    'ada@exam\u0000ple.org',
  ];
  for (const to of addresses) {
    it(`refuses the address ${JSON.stringify(to)}`, () => {
      assert.throws(
        () => message({ ...email, to }, 'kennel@example.org'),
        /is not a plain address/,
      );
    });
  }

  it('refuses an id that is not a file name', () => {
    for (const id of ['', '../up', 'a\r\nb', 'a'.repeat(65)]) {
      assert.throws(() => message({ ...email, id }, 'kennel@example.org'), /is not a plain id/);
    }
  });

  it('keeps the subject on one line', () => {
    const subject = 'Welcome, Paws\r\nBcc: eve@example.org\u2028!';
    const { subject: one } = message({ ...email, subject }, 'kennel@example.org');
    assert.equal(one, 'Welcome, Paws Bcc: eve@example.org !');
  });
});
