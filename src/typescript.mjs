/**
 * Lets Node run TypeScript: `node --import ./src/typescript.mjs FILE`. Node 22.18 and later remove the types by
 * themselves, and start in half the time; tsx does it for an older Node.
 *
 * Source: https://nodejs.org/api/typescript.html#type-stripping
 */
import process from 'node:process';

if (!process.features.typescript) await import('tsx/esm');
