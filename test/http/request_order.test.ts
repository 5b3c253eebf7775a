import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RequestOrder } from '../../src/http/request_order.ts';

/** Enters requests, and tells which of them have started. */
function orderOf(...methods: string[]) {
  const order = new RequestOrder();
  const started: number[] = [];
  const enter = (method: string, at: number) => {
    const turn = order.enter(method);
    if (turn) turn.then(() => started.push(at));
    else started.push(at);
  };
  methods.forEach(enter);
  return {
    order,
    async after(change: () => void) {
      change();
      await Promise.resolve();
      return started;
    },
    started,
  };
}

describe('RequestOrder', () => {
  it('lets safe requests run side by side', () => {
    assert.deepEqual(orderOf('GET', 'HEAD', 'OPTIONS', 'TRACE').started, [0, 1, 2, 3]);
  });

  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    it(`lets a ${method} run alone, in its place`, async () => {
      const { order, after, started } = orderOf('GET', 'GET', method, 'GET', 'GET');
      assert.deepEqual(started, [0, 1]);
      assert.deepEqual(await after(() => order.leave()), [0, 1]);
      assert.deepEqual(await after(() => order.leave()), [0, 1, 2]);
      assert.deepEqual(await after(() => order.leave()), [0, 1, 2, 3, 4]);
    });
  }

  it('lets unsafe requests run one after the other', async () => {
    const { order, after, started } = orderOf('PUT', 'DELETE', 'POST');
    assert.deepEqual(started, [0]);
    assert.deepEqual(await after(() => order.leave()), [0, 1]);
    assert.deepEqual(await after(() => order.leave()), [0, 1, 2]);
  });

  it('lets no request pass one that waits', async () => {
    const { order, after, started } = orderOf('GET', 'PUT', 'GET');
    assert.deepEqual(started, [0]);
    assert.deepEqual(await after(() => order.leave()), [0, 1]);
  });

  it('starts a request at once when all before it have been answered', async () => {
    const { order, after } = orderOf('PUT');
    assert.deepEqual(await after(() => order.leave()), [0]);
    assert.equal(order.enter('GET'), null);
    order.leave();
    assert.equal(order.enter('DELETE'), null);
  });

  it('lets none wait when the connection is closed', async () => {
    const { order, after } = orderOf('PUT', 'GET', 'PUT');
    assert.deepEqual(await after(() => order.closed()), [0, 1, 2]);
  });
});
