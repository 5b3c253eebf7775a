import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { clientAddress, isTrusted, trustedProxies } from '../../src/http/trusted_proxies.ts';

const proxies = trustedProxies(['10.0.0.0/8', '192.0.2.1', 'fd00::/8']);

describe('trustedProxies()', () => {
  it('knows single addresses and ranges of both families', () => {
    for (const address of ['10.1.2.3', '192.0.2.1', 'fd00::1', '::ffff:10.1.2.3']) {
      assert.ok(isTrusted(proxies, address), address);
    }
    for (const address of ['11.0.0.1', '192.0.2.2', 'fe80::1', '', 'localhost']) {
      assert.ok(!isTrusted(proxies, address), address);
    }
  });
  for (const cidr of ['', '10.0.0.0/', '10.0.0.0/33', '10.0.0.0/-1', 'a/8', 'fd00::/129', '10/8']) {
    it(`refuses "${cidr}"`, () => {
      assert.throws(() => trustedProxies([cidr]), /Cannot trust the proxy/);
    });
  }
});

describe('clientAddress()', () => {
  it('is the peer when the peer is no proxy, whatever it says', () => {
    assert.equal(clientAddress(proxies, '203.0.113.1', ['198.51.100.1']), '203.0.113.1');
  });
  it('is the right-most hop that is no proxy', () => {
    const hops = ['6.6.6.6, 198.51.100.1', '10.0.0.2'];
    assert.equal(clientAddress(proxies, '10.0.0.1', hops), '198.51.100.1');
  });
  it('ends at a hop that is no address', () => {
    assert.equal(clientAddress(proxies, '10.0.0.1', ['198.51.100.1, x, 10.0.0.2']), '10.0.0.2');
  });
});
