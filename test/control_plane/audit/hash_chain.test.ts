/** The trail as somebody with all rights would falsify it, and what a verification makes of it. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { tenantlessChain } from '../../../src/control_plane/audit/hash_chain.ts';
import type { Sql } from '../../../src/kernel/ports.ts';
import {
  type AuditTrail,
  eventsEach,
  named,
  openAuditTrail,
  without,
} from '../../support/audit_trail.ts';
import type { Registered } from '../../support/registered.ts';
import { lookInto } from '../../support/sql.ts';

let trail: AuditTrail;

before(async () => {
  trail = await openAuditTrail();
});

after(() => trail.close());

describe('a verification', () => {
  it('reads a chain in the order of an index, so that no page sorts the rest', async () => {
    await trail.tenant();
    const { control, fleet } = trail.services;
    let page: { text: string; values: unknown[] } | undefined;
    const watched: Sql = (text, ...values) => {
      const numbered = text.reduce((before, part, at) => `${before}$${at}${part}`);
      if (numbered.includes('rows with ties')) page ??= { text: numbered, values };
      return control<never>(text, ...values);
    };
    await trail.verifyOn(Object.assign(watched, { transaction: control.transaction }));
    assert.ok(page);
    const { text, values } = page;
    const plan = await lookInto(fleet.installation.adminUrl, async (sql) => {
      await sql`set enable_seqscan = off`;
      await sql`set enable_bitmapscan = off`;
      return sql.unsafe(`explain ${text}`, values as string[]);
    });
    const lines = plan.map((line) => line['QUERY PLAN']).join('\n');
    assert.match(lines, /Index Scan using audit_events_by_chain/);
    assert.doesNotMatch(lines, /Sort/);
  });

  it('finds nothing in unchanged chains, including the one without a tenant', async () => {
    const tenant = await trail.tenant();
    const { control, registry } = trail.services;
    await control`
      insert into control.audit_events (id, event, actor, tenant_id, audience, details)
      values (${randomUUID()}, 'cross_tenant_access_attempt', 'anonymous', ${tenant.id}, 'operator',
        '{"slug": "ü", "count": 1.50, "nested": {"b": null, "a": true}}')`;
    await registry.putPlan({ name: 'odd', requestsPerHour: 1, burst: 1 }, null);
    assert.deepEqual(await trail.verify(tenant.slug), {
      chains: 1,
      events: eventsEach + 1,
      faults: [],
      omitted: 0,
    });
    const { faults, events } = await trail.verify(null);
    assert.deepEqual(faults, []);
    assert.ok(events >= eventsEach + 2);
  });

  it('does not depend on the settings of the session that recorded', async () => {
    const tenant = await trail.tenant();
    await trail.falsify(`
      set timezone = 'Asia/Kathmandu'; set datestyle = 'SQL, DMY'; set extra_float_digits = 0;
      insert into audit_events (id, event, actor, tenant_id, audience, details)
      values (gen_random_uuid(), 'config_changed', 'operator', '${tenant.id}', 'tenant', '{"a": 1e3}')`);
    assert.deepEqual(named(await trail.verify(tenant.slug)), []);
  });

  it('refuses to verify a tenant that there never was', async () => {
    await assert.rejects(trail.verify('nobody-ever'), /Cannot verify the trail of "nobody-ever"/);
  });
});

describe('the role that serves the operator', () => {
  for (const [what, columns] of Object.entries({
    'when an event was': `time) values (now()`,
    'where an event stands': 'position) values (1',
    'the hash of an event': `hash) values (sha256('')`,
    'the number of an event': 'seq) values (1',
  })) {
    it(`may not choose ${what}`, async () => {
      const event = `insert into audit_events (${columns})`;
      await assert.rejects(trail.falsify(asControl(event)), { code: '42501' });
    });
  }

  for (const change of [
    'update audit_chains set position = 0',
    'delete from audit_chains',
    "insert into audit_chains (chain, position, hash) values (gen_random_uuid(), 0, sha256(''))",
    'truncate audit_chains',
  ]) {
    it(`may not "${change}"`, async () => {
      await assert.rejects(trail.falsify(asControl(change)), { code: '42501' });
    });
  }

  const asControl = (text: string) => {
    const { control } = trail.services.fleet.installation.roles;
    return `set role "${control}"; ${text}`;
  };
});

describe('an event', () => {
  it('gets no position below 1, whichever role inserts it', async () => {
    const tenant = await trail.tenant();
    const move = `update audit_events set position = 0 where tenant_id = '${tenant.id}'`;
    await assert.rejects(trail.falsify(move), { code: '23514' });
  });
});

describe('changes at the same time', () => {
  it('make unbroken chains of every tenant', async () => {
    const tenants = await Promise.all(Array.from({ length: 5 }, () => trail.tenant()));
    const callers = Array.from({ length: 8 }, async (_, caller) => {
      for (let note = 0; note < 25; note += 1) {
        const tenant = tenants[(caller + note) % tenants.length];
        if (tenant) await trail.record(tenant, note);
      }
    });
    await Promise.all(callers);
    const { events, faults } = await trail.verify(null);
    assert.deepEqual(faults, []);
    assert.ok(events >= 5 * eventsEach + 8 * 25);
  });

  it('are verified while they are made', async () => {
    const tenant = await trail.tenant();
    let writing = true;
    const writer = (async () => {
      for (let note = 0; note < 100; note += 1) await trail.record(tenant, note);
      writing = false;
    })();
    while (writing) assert.deepEqual(named(await trail.verify(tenant.slug)), []);
    await writer;
    assert.equal((await trail.verify(tenant.slug)).events, eventsEach + 100);
  });
});

describe('a verification of a falsified trail', () => {
  let tenant: Registered;
  beforeEach(async () => {
    tenant = await trail.tenant();
  });
  afterEach(() => trail.forget(tenant));

  const at = (position: number) => `tenant_id = '${tenant.id}' and position = ${position}`;

  for (const [what, { tamper, faults }] of Object.entries(tamperings())) {
    it(`names ${what}`, async () => {
      await trail.falsify(tamper(at, tenant.id));
      assert.deepEqual(named(await trail.verify(tenant.slug)), faults);
    });
  }

  it('names a lone event below position 1 in the chain without a tenant', async () => {
    await trail.falsify(`
      begin;
      delete from audit_events where tenant_id is null;
      delete from audit_chains where chain = '${tenantlessChain}';
      ${unchecked(adding(tenantlessChain, '-9223372036854775808'))};
      commit`);
    const found = (await trail.verify(null)).faults.filter(
      ({ chain }) => chain === tenantlessChain,
    );
    await trail.falsify('delete from audit_events where position < 0');
    assert.deepEqual(
      found.map(({ kind }) => kind),
      ['edited', 'chain missing'],
    );
  });

  it('names events that share a place across two pages, where no index forbids it', async () => {
    const index = 'audit_events_by_chain';
    const made = `create unique index ${index} on audit_events
      (coalesce(tenant_id, '00000000-0000-0000-0000-000000000000'), position)`;
    await trail.falsify(`drop index ${index}; ${adding(tenant.id, '3')}`);
    const found = named(await trail.verify(tenant.slug));
    await trail.forget(tenant);
    await trail.falsify(made);
    assert.ok(found.some(([kind, position]) => kind === 'edited' && position === 3));
  });

  it('says which tenant, place and event it is', async () => {
    await trail.falsify(`update audit_events set actor = 'nobody' where ${at(4)}`);
    const [fault] = (await trail.verify(tenant.slug)).faults;
    assert.match(
      String(fault?.message),
      new RegExp(`^${tenant.slug}: position 4, seq \\d+ \\(config_changed\\) was edited`),
    );
    assert.equal(fault?.chain, tenant.id);
  });

  it('names no more than it must, and counts the others', async () => {
    await trail.falsify(
      `update audit_events set actor = 'nobody' where tenant_id = '${tenant.id}'`,
    );
    const { faults, omitted } = await trail.verify(tenant.slug);
    assert.deepEqual([faults.length, omitted], [5, eventsEach - 5]);
  });

  it('finds the chain of a tenant gone without a trace among all chains', async () => {
    await trail.falsify(without(tenant.id));
    const found = (await trail.verify(null)).faults.filter(({ chain }) => chain === tenant.id);
    assert.deepEqual(
      found.map(({ kind, tenant: name }) => [kind, name]),
      [['chain missing', tenant.slug]],
    );
  });

  it('finds a chain that has lost its head among all chains', async () => {
    await trail.falsify(`delete from audit_chains where chain = '${tenant.id}'`);
    const found = (await trail.verify(null)).faults.filter(({ chain }) => chain === tenant.id);
    assert.deepEqual(
      found.map(({ kind, position }) => [kind, position]),
      [['head missing', eventsEach]],
    );
  });
});

type Tampering = {
  tamper: (at: (position: number) => string, id: string) => string;
  faults: [string, number][];
};

function tamperings(): Record<string, Tampering> {
  const edit = (set: string): Tampering => ({
    tamper: (at) => `update audit_events set ${set} where ${at(4)}`,
    faults: [['edited', 4]],
  });
  return {
    'an edited detail': edit(`details = '{"note": 5}'`),
    'an edited time': edit(`time = time - interval '1 microsecond'`),
    'a time that never comes': edit(`time = 'infinity'`),
    'a time that never was': edit(`time = '-infinity'`),
    'a time beyond the microseconds that a bigint counts': edit(`time = '294276-12-31'`),
    'an event that was given to the operator alone': edit(`audience = 'operator'`),
    'an event with another place among all': edit(`seq = nextval('audit_events_seq')`),
    'an edited event with a hash of its own': {
      tamper: (at) => `
        update audit_events set actor = 'nobody' where ${at(4)};
        update audit_events as own set hash = sha256(
          (select hash from audit_events where ${at(3)}) || convert_to(audit_text(own, 4), 'UTF8')
        ) where ${at(4)}`,
      faults: [['edited', 5]],
    },
    'a removed event': {
      tamper: (at) => `delete from audit_events where ${at(4)}`,
      faults: [['removed', 4]],
    },
    'the first events removed': {
      tamper: (at) => `delete from audit_events where ${at(1)} or ${at(2)}`,
      faults: [['removed', 1]],
    },
    'two neighbours that were swapped': {
      tamper: (at) => swap(at, 4, 5),
      faults: [
        ['reordered', 4],
        ['reordered', 5],
      ],
    },
    'two events that were swapped from afar': {
      tamper: (at) => swap(at, 3, 8),
      faults: [
        ['reordered', 3],
        ['reordered', 8],
      ],
    },
    'an event that was moved out of the way': {
      tamper: (at) => unchecked(`update audit_events set position = 0 where ${at(4)}`),
      faults: [
        ['edited', 0],
        ['removed', 4],
      ],
    },
    'an event that was added before the least place': {
      tamper: (_at, id) => unchecked(adding(id, '-9223372036854775808')),
      faults: [['edited', -(2 ** 63)]],
    },
    'an event that was added beyond the numbers of JavaScript': {
      tamper: (_at, id) => adding(id, '9007199254740993'),
      faults: [['edited', 2 ** 53]],
    },
    'an event that was added in the last place of all': {
      tamper: (_at, id) => adding(id, '9223372036854775807'),
      faults: [['edited', 2 ** 63]],
    },
    'the last events removed': {
      tamper: (at) => `delete from audit_events where ${at(9)} or ${at(10)}`,
      faults: [['truncated', 8]],
    },
    'a head that was set back with them, but for its hash': {
      tamper: (at, id) => `
        delete from audit_events where ${at(10)};
        update audit_chains set position = 9 where chain = '${id}'`,
      faults: [['head differs', 9]],
    },
    'an event that was added behind the head': {
      tamper: (_at, id) => adding(id, '11'),
      faults: [
        ['edited', 11],
        ['head differs', 11],
      ],
    },
    'a whole chain removed, but for its head': {
      tamper: (_at, id) => `delete from audit_events where tenant_id = '${id}'`,
      faults: [['truncated', 0]],
    },
  };
}

/** An event past the trigger that chains it. */
function adding(id: string, position: string): string {
  return `
    set session_replication_role = replica;
    insert into audit_events
      (seq, id, time, event, actor, tenant_id, audience, details, position, hash)
    values (
      nextval('audit_events_seq'), gen_random_uuid(), now(), 'key_created', 'operator', '${id}',
      'tenant', '{}', ${position}, sha256('')
    )`;
}

/** Without the check that an event stands after the start, which who has all rights may drop. */
function unchecked(text: string): string {
  return `
    alter table audit_events drop constraint audit_events_position_check;
    ${text};
    alter table audit_events
      add constraint audit_events_position_check check (position > 0) not valid`;
}

function swap(at: (position: number) => string, one: number, other: number): string {
  return `
    update audit_events set position = 1000 where ${at(one)};
    update audit_events set position = ${one} where ${at(other)};
    update audit_events set position = ${other} where ${at(1000)}`;
}
