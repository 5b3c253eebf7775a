/**
 * Hides the position of an event in a tenant's cursor. All tenants' events are counted together: from the numbers
 * of its own a tenant would see how many others write, and whether a denial named an existing tenant.
 *
 * A position is one block of AES-256, whose first half is zero. A forged text has other bytes there.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';

const algorithm = 'aes-256-ecb';
const blockBytes = 16;

/**
 * Returns functions on positions as decimal digits. `reveal` returns null unless `hide` made the text with the
 * same key.
 *
 * @param key of 32 bytes, the same in all processes.
 */
export function hiddenPositions(key: Buffer) {
  return {
    hide: (position: string): string => {
      const block = Buffer.alloc(blockBytes);
      block.writeBigUInt64BE(BigInt(position), blockBytes / 2);
      const cipher = createCipheriv(algorithm, key, null).setAutoPadding(false);
      return cipher.update(block).toString('base64url');
    },
    reveal: (text: string): string | null => {
      const hidden = Buffer.from(text, 'base64url');
      if (hidden.length !== blockBytes) return null;
      const decipher = createDecipheriv(algorithm, key, null).setAutoPadding(false);
      const block = decipher.update(hidden);
      if (block.readBigUInt64BE(0) !== 0n) return null;
      return String(block.readBigUInt64BE(blockBytes / 2));
    },
  };
}
