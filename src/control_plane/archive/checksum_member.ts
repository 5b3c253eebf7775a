/**
 * The end of an archive: a second gzip member of a fixed form, whose only line is the SHA-256 of the bytes
 * before it. Gzip's own checksum covers the unpacked bytes alone, so some flipped bits would go unnoticed:
 * those in the head of the file, and those that pad its last byte.
 *
 * Source: RFC 1952 (gzip), RFC 1951 section 3.2.4 (a block without compression)
 */
import { crc32 } from 'node:zlib';

/** No compression hint, time or operating system, so that the bytes are the same on every machine. */
const head = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);

/** @param sha256 in hexadecimal. */
export function checksumMember(sha256: string): Buffer {
  const line = Buffer.from(`${JSON.stringify({ sha256 })}\n`);
  const block = Buffer.alloc(5);
  // The last block, stored: its length, and the complement of its length.
  block.writeUInt8(1, 0);
  block.writeUInt16LE(line.length, 1);
  block.writeUInt16LE(~line.length & 0xffff, 3);
  const end = Buffer.alloc(8);
  end.writeUInt32LE(crc32(line), 0);
  end.writeUInt32LE(line.length, 4);
  return Buffer.concat([head, block, line, end]);
}

export const checksumMemberBytes = checksumMember('0'.repeat(64)).length;
