/** Which server of an upstream is asked next. */
import assert from 'node:assert/strict';
import { makeReach } from '../../../../src/enforcement/gateway/reach.ts';
import { makeTargets, type Targets } from '../../../../src/enforcement/gateway/targets.ts';
import { compileUpstream } from '../../../../src/policy/routes/compile-route.ts';

const first = 'http://127.0.0.1:1';
const second = 'http://127.0.0.1:2';

function asked(targets: Targets, upstream: object): string[] {
  const compiled = compileUpstream({ targets: [first, second], ...upstream });
  assert.ok(compiled);
  return targets.inTurn(compiled).map(({ origin }) => origin);
}

describe('the servers of an upstream', () => {
  let targets: Targets;
  beforeEach(() => {
    targets = makeTargets(makeReach([]), undefined, () => {});
  });
  afterEach(() => targets.close());

  it('take turns', () => {
    assert.deepEqual(asked(targets, {}), [first, second]);
    assert.deepEqual(asked(targets, {}), [second, first]);
  });

  for (const [name, upstream] of [
    ['without a health check', {}],
    ['with one, before it is asked the next time', { healthCheck: { path: '/up', intervalMs: 3_600_000 } }],
  ] as const) {
    it(`one that could not be reached is passed over: ${name}`, () => {
      targets.failed(new URL(first));
      for (const _ of [1, 2]) assert.deepEqual(asked(targets, upstream), [second]);
    });

    it(`all are tried where none could be reached: ${name}`, () => {
      for (const target of [first, second]) targets.failed(new URL(target));
      assert.deepEqual(asked(targets, upstream), [first, second]);
    });
  }
});
