import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { checksumMember } from '../../../src/control_plane/archive/checksum_member.ts';
import { type ArchiveHeader, parseHeader } from '../../../src/control_plane/archive/format.ts';
import { ArchiveReader } from '../../../src/control_plane/archive/read_archive.ts';
import { archiveBytes, writeArchive } from '../../../src/control_plane/archive/write_archive.ts';
import { limits } from '../../../src/limits.ts';
import { seededRandom } from '../../support/random.ts';

const header: ArchiveHeader = {
  kennel_archive: 1,
  exported_at: '2026-01-02T03:04:05.678Z',
  tenant: { slug: 'acme-pets', name: 'Acme Pets', plan: 'free' },
  schema_version: 2,
  account: [{ name: 'users', columns: ['id', 'email'], rows: 2 }],
  tables: [
    { name: 'pets', columns: ['id', 'name', 'breed'], rows: 30 },
    { name: 'visits', columns: ['id'], rows: 0 },
  ],
};

const petRows = Array.from({ length: 30 }, (_, at) =>
  JSON.stringify([`pet ${at}`, 'Rex "the\nfirst" \u{1f415}', at % 2 ? null : '']),
);

const rowsOf: Record<string, string[]> = {
  users: ['["1","ann@example.com"]', '["2","bob@example.com"]'],
  pets: petRows,
  visits: [],
};

/** The bytes of an archive as the product writes them. */
async function written(): Promise<Buffer> {
  const tables = async function* ({ name }: { name: string }) {
    const lines = rowsOf[name] ?? [];
    if (lines.length > 0) yield lines;
  };
  const chunks: Buffer[] = [];
  const sources = { account: tables, tables, limits: limits.archive };
  for await (const chunk of archiveBytes((write) => writeArchive(header, sources, write))) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** A file of any lines, with a correct checksum: its author has this code, too. */
function forged(text: string | Buffer): Buffer {
  const member = gzipSync(text);
  return Buffer.concat([member, checksumMember(sha256(member))]);
}

/** All lines of an archive with some of them exchanged and all checksums correct. */
function forgedWith(change: (lines: { header: object; pets: string[] }) => void): Buffer {
  const lines = { header: structuredClone(header), pets: [...petRows] };
  change(lines);
  const users = rowsOf.users ?? [];
  const digest = (name: string, rows: string[]) => {
    const text = rows.map((row) => `${row}\n`).join('');
    return { name, rows: rows.length, sha256: sha256(Buffer.from(text)) };
  };
  const trailer = {
    account: [digest('users', users)],
    tables: [digest('pets', lines.pets), digest('visits', [])],
  };
  const all = [JSON.stringify(lines.header), ...users, ...lines.pets, JSON.stringify(trailer)];
  return forged(`${all.join('\n')}\n`);
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function* inChunks(bytes: Buffer, size = 1_000): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** Reads a file to its end. Resolves with the rows of each table. */
async function read(
  bytes: Buffer | AsyncIterable<Buffer>,
  archiveLimits = limits.archive,
): Promise<Record<string, string[]>> {
  const source = Buffer.isBuffer(bytes) ? inChunks(bytes) : bytes;
  const reader = await ArchiveReader.open(source, archiveLimits);
  try {
    const found: Record<string, string[]> = {};
    for await (const { table, lines } of reader.rows()) {
      found[table.name] = [...(found[table.name] ?? []), ...lines];
    }
    return found;
  } finally {
    await reader.close();
  }
}

/** Refused in one line that says that the file is wrong. */
async function refused(bytes: Buffer | AsyncIterable<Buffer>, reason = /./): Promise<void> {
  await assert.rejects(read(bytes), (error: Error) => {
    assert.match(error.message, /^Cannot read the archive: [^\n]+$/);
    assert.match(error.message, reason);
    return true;
  });
}

describe('ArchiveReader', () => {
  it('returns the rows that were written', async () => {
    const { visits: _, ...rows } = rowsOf;
    assert.deepEqual(await read(await written()), rows);
    assert.deepEqual(await read(inChunks(await written(), 1)), rows);
  });

  it('is written as two gzip members, which any tool unpacks', async () => {
    const bytes = await written();
    const lines = gunzipSync(bytes).toString().trimEnd().split('\n');
    assert.deepEqual(JSON.parse(lines[0] ?? ''), header);
    assert.equal(lines.length, 1 + 32 + 1 + 1);
    const { sha256: stated } = JSON.parse(lines.at(-1) ?? '');
    assert.equal(stated, sha256(bytes.subarray(0, -checksumMember(stated).length)));
  });

  it('refuses a file that is cut off, at 1 000 random offsets', async () => {
    const bytes = await written();
    const random = seededRandom(1);
    for (let cut = 0; cut < 1_000; cut += 1) {
      await refused(bytes.subarray(0, Math.floor(random() * bytes.length)));
    }
  });

  it('refuses 1 000 single flipped bits', async () => {
    const bytes = await written();
    const random = seededRandom(2);
    for (let flip = 0; flip < 1_000; flip += 1) {
      const flipped = Buffer.from(bytes);
      const at = Math.floor(random() * bytes.length * 8);
      flipped[at >> 3] = (flipped[at >> 3] ?? 0) ^ (1 << (at & 7));
      await refused(flipped);
    }
  });

  it('control: gzip alone accepts some flipped bits', async () => {
    const bytes = Buffer.from(await written());
    const whole = gunzipSync(bytes);
    bytes[4] = (bytes[4] ?? 0) ^ 1;
    assert.deepEqual(gunzipSync(bytes), whole);
    await refused(bytes, /checksum/);
  });

  it('refuses foreign files', async () => {
    await refused(Buffer.alloc(0));
    await refused(Buffer.from('PK\u0003\u0004 a zip file'));
    await refused(randomBytes(5_000));
    await refused(gzipSync('{"kennel_archive":1}\n'));
    await refused(forged('hello\n'), /not JSON/);
    await refused(forged('[]\n'), /not a tenant archive/);
    await refused(forged('{"kennel_archive":2}\n'), /format is 2/);
    await refused(forged(''), /ends too early/);
  });

  it('refuses bytes between the rows and the checksum, and behind it', async () => {
    const bytes = await written();
    const member = bytes.subarray(0, -checksumMember('0'.repeat(64)).length);
    for (const more of [Buffer.alloc(200_000), gzipSync('["more"]\n'), randomBytes(100_000)]) {
      const longer = Buffer.concat([member, more]);
      await refused(Buffer.concat([longer, checksumMember(sha256(longer))]));
      await refused(Buffer.concat([bytes, more]));
    }
  });

  it('refuses a line, and a file, that unpack to more than their limits', async () => {
    const bomb = forged(Buffer.alloc(64 * 1_024 * 1_024, 0x20));
    assert.ok(bomb.length < 100_000);
    await refused(bomb, /a line has more than/);
    const small = { ...limits.archive, unpackedBytes: 1_000 };
    await assert.rejects(read(await written(), small), /unpacks to more than 1000 bytes/);
  });

  it('refuses rows and headers that do not fit, although all checksums are right', async () => {
    await read(forgedWith(() => {}));
    const wrong: Parameters<typeof forgedWith>[0][] = [
      (lines) => lines.pets.pop(),
      (lines) => lines.pets.push('["1","2","3"]'),
      (lines) => lines.pets.splice(0, 1, '["1","2"]'),
      (lines) => lines.pets.splice(0, 1, '["1","2","3","4"]'),
      (lines) => lines.pets.splice(0, 1, '["1",2,null]'),
      (lines) => lines.pets.splice(0, 1, '{"id":"1"}'),
      (lines) => lines.pets.splice(0, 1, ''),
      (lines) => lines.pets.splice(0, 1, '['.repeat(1_000_000)),
      ...[
        { schema_version: 0 },
        { schema_version: '2' },
        { tables: [header.tables[0], header.tables[0]] },
        { tables: [{ name: 'pets', columns: ['id', 'name', 'tenant_id'], rows: 30 }] },
        { tables: [{ name: 'pets', columns: ['id', 'name', 'name'], rows: 30 }] },
        { tables: [{ name: 'pets', columns: ['id', 'name', 'breed'], rows: -1 }] },
        { tables: [{ name: 'pets', columns: ['id', 'name', 'breed'], rows: 1e300 }] },
        { tables: {} },
        { more: 1 },
        { tenant: { slug: 'acme-pets' } },
      ].map((fields) => (lines: { header: object }) => Object.assign(lines.header, fields)),
    ];
    for (const change of wrong) await refused(forgedWith(change));
  });

  it('accepts a name of 200 characters beyond the basic plane, as the API does', () => {
    const named = (length: number) => {
      const tenant = { slug: 'zoo', name: '\u{1f415}'.repeat(length), plan: 'free' };
      const head = {
        kennel_archive: 1,
        exported_at: '2026-01-01T00:00:00.000Z',
        schema_version: 1,
      };
      return parseHeader(JSON.stringify({ ...head, tenant, account: [], tables: [] }));
    };
    assert.equal(named(200).tenant.slug, 'zoo');
    assert.throws(() => named(201), /invalid "tenant\.name"/);
  });

  it('refuses text that is not UTF-8', async () => {
    const text = Buffer.from(`${JSON.stringify(header)}\n["1","?"]\n`);
    text[text.indexOf('?')] = 0xff;
    await refused(forged(text), /UTF-8/);
  });

  it('closes its source when it refuses', async () => {
    let isClosed = false;
    async function* endless() {
      try {
        for (;;) yield randomBytes(1_000);
      } finally {
        isClosed = true;
      }
    }
    await refused(endless());
    assert.ok(isClosed);
  });
});

describe('archiveBytes()', () => {
  it('fails with the error of the producer', async () => {
    const failing = archiveBytes(async (write) => {
      await write('some text\n');
      throw new Error('the database is gone');
    });
    await assert.rejects(async () => {
      for await (const _ of failing);
    }, /the database is gone/);
  });

  it('ends the producer when the consumer stops', async () => {
    let reason: unknown = null;
    const bytes = archiveBytes(async (write) => {
      try {
        for (;;) await write(randomBytes(10_000).toString('hex'));
      } catch (error) {
        reason = error;
        throw error;
      }
    });
    await bytes.next();
    await bytes.return(null);
    assert.match(String(reason), /abort/i);
  });
});
