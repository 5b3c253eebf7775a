import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { clientAddress, isTrusted, trustedProxies } from '../../src/http/trusted_proxies.ts';

const proxies = trustedProxies(['10.0.0.0/8', '192.0.2.1', 'fd00::/8']);

describe('trustedProxies()', () => {
  it('accepts single addresses and ranges of both families', () => {
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
  it('is the peer when the peer is not a trusted proxy', () => {
    assert.equal(clientAddress(proxies, '203.0.113.1', ['198.51.100.1']), '203.0.113.1');
  });
  it('is the right-most hop that is not a trusted proxy', () => {
    const hops = ['6.6.6.6, 198.51.100.1', '10.0.0.2'];
    assert.equal(clientAddress(proxies, '10.0.0.1', hops), '198.51.100.1');
  });
  for (const [sent, address] of Object.entries({
    '203.0.113.7:51234': '203.0.113.7',
    '203.0.113.7,': '203.0.113.7',
    '203.0.113.7, ,': '203.0.113.7',
    '[2001:db8::1]:443': '2001:db8::1',
    '[2001:db8::1]': '2001:db8::1',
    '"[2001:db8::1]:443"': '2001:db8::1',
    '2001:db8::1': '2001:db8::1',
    '::ffff:203.0.113.7': '203.0.113.7',
    '203.0.113.7:_port': '203.0.113.7',
    '203.0.113.7:1, 10.0.0.2:2': '203.0.113.7',
    '203.0.113.7, [fd00::1]:2': '203.0.113.7',
    '6.6.6.6, _hidden-1': '_hidden-1',
  })) {
    it(`reads the node "${sent}" of RFC 7239`, () => {
      assert.equal(clientAddress(proxies, '10.0.0.1', [sent]), address);
    });
  }
  for (const hop of [
    'x',
    'unknown',
    '203.0.113.7:',
    '203.0.113.7:x',
    '[203',
    '_',
    '1.2.3',
    '::g',
  ]) {
    it(`stops at the hop "${hop}", which is not an address`, () => {
      const hops = [`198.51.100.1, ${hop}, 10.0.0.2`];
      assert.equal(clientAddress(proxies, '10.0.0.1', hops), '10.0.0.2');
    });
  }
});
