import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { redisAddress } from '../../../src/adapters/limiter/redis_url.ts';

describe('redisAddress()', () => {
  for (const [url, address] of [
    ['redis://h', { host: 'h', port: 6_379, db: 0 }],
    ['redis://h:7/3', { host: 'h', port: 7, db: 3 }],
    ['redis://[::1]:7?db=3', { host: '::1', port: 7, db: 3 }],
    ['redis://:p%25%40@h', { host: 'h', port: 6_379, password: 'p%@', db: 0 }],
    ['redis://a%3Ab:p@h/', { host: 'h', port: 6_379, username: 'a:b', password: 'p', db: 0 }],
    ['redis://h?family=6', { host: 'h', port: 6_379, db: 0, family: 6 }],
    ['rediss://h', { host: 'h', port: 6_379, db: 0, tls: { servername: 'h' } }],
    ['rediss://[::1]', { host: '::1', port: 6_379, db: 0, tls: {} }],
  ] as const) {
    it(`reads ${url}`, () => assert.deepEqual(redisAddress(url), address));
  }

  for (const url of [
    'http://h',
    'redis:h',
    'redis://',
    'redis://:secret%@h',
    'redis://:secret@h:0',
    'redis://:secret@h/one',
    'redis://:secret@h?maxRetriesPerRequest=9',
    'redis://:secret@h?family=5',
  ]) {
    it(`refuses ${url} without its password in the message`, () => {
      assert.throws(
        () => redisAddress(url),
        ({ message }: Error) => message.startsWith('expected ') && !message.includes('secret'),
      );
    });
  }
});
