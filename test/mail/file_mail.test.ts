import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { FileMail } from '../../src/mail/file_mail.ts';

const email = { id: 'l-1', to: 'ada@example.org', subject: 'Grüße', text: 'Hello' };
const { signal } = new AbortController();

describe('FileMail', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kennel-mail-'));
  });
  after(() => rm(folder, { recursive: true }));

  it('writes an email with headers, encoded subject and text', async () => {
    const mail = new FileMail(join(folder, 'new', 'folder'), 'kennel@example.org');
    await mail.send(email, signal);
    const text = await readFile(join(folder, 'new', 'folder', 'l-1.eml'), 'utf8');
    assert.match(text, /^From: Kennel <kennel@example\.org>\r?$/m);
    assert.match(text, /^To: ada@example\.org\r?$/m);
    assert.match(text, /^Message-ID: <l-1@example\.org>\r?$/m);
    assert.match(text, /^Subject: =\?UTF-8\?Q\?Gr=C3=BC=C3=9Fe\?=\r?$/m);
    assert.match(text, /\r?\n\r?\nHello\s*$/);
  });

  it('writes one file for a repeated email, and no temporary ones', async () => {
    const mail = new FileMail(join(folder, 'twice'), 'kennel@example.org');
    await Promise.all([mail.send(email, signal), mail.send(email, signal)]);
    assert.deepEqual(await readdir(join(folder, 'twice')), ['l-1.eml']);
  });

  it('writes a file that only its owner can read', async () => {
    const mail = new FileMail(join(folder, 'own'), 'kennel@example.org');
    await mail.send(email, signal);
    assert.equal((await stat(join(folder, 'own', 'l-1.eml'))).mode & 0o077, 0);
  });

  it('leaves no file behind when it is aborted', async () => {
    const mail = new FileMail(join(folder, 'aborted'), 'kennel@example.org');
    await mail.send(email, signal);
    await assert.rejects(mail.send({ ...email, id: 'l-2' }, AbortSignal.abort()));
    assert.deepEqual(await readdir(join(folder, 'aborted')), ['l-1.eml']);
  });
});
