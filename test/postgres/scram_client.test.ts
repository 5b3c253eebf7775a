import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { describe, it } from 'node:test';
import { ScramClient, type ScramOptions } from '../../src/postgres/scram_client.ts';
import { scramVerifier } from '../../src/postgres/scram_verifier.ts';

const none = { header: 'n,,', data: Buffer.alloc(0) } as const;

function client(changed: Partial<ScramOptions> = {}): ScramClient {
  const nonce = 'rOprNGfwEbeRWgbNEkqO';
  const known = { user: 'user', password: 'pencil', nonce, binding: none, maxIterations: 4_096 };
  return new ScramClient({ ...known, ...changed });
}

/** Source: RFC 7677, section 3, which has RFC 5802's exchange for SHA-256. */
const rfc = {
  first: 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
  serverFirst:
    'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  final:
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  serverFinal: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
};

describe('ScramClient', () => {
  it('has the exchange of RFC 7677, and accepts its server signature', async () => {
    const scram = client();
    assert.equal(scram.first, rfc.first);
    assert.equal(await scram.final(rfc.serverFirst), rfc.final);
    scram.verify(rfc.serverFinal);
  });

  for (const [what, serverFinal] of [
    ['a wrong one', 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G8='],
    ['a shorter one', 'v=6rri'],
    ['none', 'v='],
    ['an error', 'e=other-error'],
    ['nothing', ''],
  ] as const) {
    it(`refuses a server signature: ${what}`, async () => {
      const scram = client();
      await scram.final(rfc.serverFirst);
      assert.throws(() => scram.verify(serverFinal), /does not know the password/);
    });
  }

  it("refuses a server signature before the client's proof", () => {
    assert.throws(() => client().verify(rfc.serverFinal), /does not know the password/);
    assert.throws(() => client().verify('v='), /does not know the password/);
  });

  for (const [what, serverFirst] of [
    ['another nonce', 'r=somebodyElse,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'],
    ['our nonce alone', 'r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'],
    ['no salt', 'r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096'],
    ['too many iterations', 'r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=4097'],
    ['an iteration count beyond its range', 'r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=99999999999'],
    ['no iterations', 'r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=0'],
    ['a mandatory extension', 'm=x,r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=4096'],
    ['an error', 'e=unknown-user'],
  ] as const) {
    it(`refuses a first server message with ${what}`, async () => {
      await assert.rejects(client().final(serverFirst), /^Error: Cannot log in: /);
    });
  }

  /** The server's data for a password. */
  const keysOf = (password: string) => {
    const [, stored = '', server = ''] =
      /\$([^$:]+):([^:]+)$/.exec(scramVerifier(password, Buffer.from('salt'))) ?? [];
    return { stored: Buffer.from(stored, 'base64'), server: Buffer.from(server, 'base64') };
  };

  /** As a server checks it: the client's key follows from its proof, and its hash is known. */
  async function isLetIn(known: string, typed: string): Promise<boolean> {
    const scram = client({ password: typed });
    const serverFirst = `r=rOprNGfwEbeRWgbNEkqOx,s=${Buffer.from('salt').toString('base64')},i=4096`;
    const final = await scram.final(serverFirst);
    const [bare = '', proof = ''] = final.split(',p=');
    const exchange = `${scram.first.slice(3)},${serverFirst},${bare}`;
    const { stored, server } = keysOf(known);
    const signature = createHmac('sha256', stored).update(exchange).digest();
    const key = Buffer.from(proof, 'base64').map((byte, at) => byte ^ (signature[at] ?? 0));
    if (!createHash('sha256').update(key).digest().equals(stored)) return false;
    scram.verify(`v=${createHmac('sha256', server).update(exchange).digest('base64')}`);
    return true;
  }

  it('matches the verifier of our own logins', async () => {
    assert.equal(await isLetIn('p,w=ü', 'p,w=ü'), true);
    assert.equal(await isLetIn('p,w=ü', 'p,w=u'), false);
  });

  for (const [typed, prepared] of [
    ['I\u00adX', 'IX'],
    ['\u00aa', 'a'],
    ['\u2168', 'IX'],
    ['a\u00a0b', 'a b'],
    ['a\u0007b', 'a\u0007b'],
  ] as const) {
    it(`prepares ${JSON.stringify(typed)} as ${JSON.stringify(prepared)}, as RFC 4013 does`, async () => {
      assert.equal(await isLetIn(prepared, typed), true);
    });
  }

  it('binds its proof to the channel', async () => {
    const binding = { header: 'p=tls-server-end-point,,', data: Buffer.from('hash') } as const;
    const scram = client({ binding });
    assert.match(scram.first, /^p=tls-server-end-point,,n=user,/);
    const [, sent = ''] = /^c=([^,]+),/.exec(await scram.final(rfc.serverFirst)) ?? [];
    assert.equal(String(Buffer.from(sent, 'base64')), 'p=tls-server-end-point,,hash');
  });
});
