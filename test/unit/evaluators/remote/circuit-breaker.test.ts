import assert from 'node:assert/strict';
import { CircuitBreaker, CircuitOpenError } from '../../../../src/evaluators/remote/circuit-breaker.ts';

describe('the circuit breaker', () => {
  const broken = () => Promise.reject(new Error('down'));
  const fine = async () => 'up';
  const always = () => true;

  function breakerAt() {
    const clock = { nowMs: 0 };
    return {
      clock,
      breaker: new CircuitBreaker({ threshold: 2, openMs: 100, probeMs: 50, nowMs: () => clock.nowMs }),
    };
  }

  it('asks nobody for a while after so many failures in a row', async () => {
    const { breaker } = breakerAt();
    await assert.rejects(breaker.run(broken, always), /down/);
    assert.equal(breaker.state, 'closed');
    await assert.rejects(breaker.run(broken, always), /down/);
    assert.equal(breaker.state, 'open');
    let asked = 0;
    await assert.rejects(
      breaker.run(async () => asked++, always),
      CircuitOpenError,
    );
    assert.equal(asked, 0);
  });

  it('counts failures in a row only, and only those that are failures of the other side', async () => {
    const { breaker } = breakerAt();
    await assert.rejects(breaker.run(broken, always));
    await breaker.run(fine, always);
    await assert.rejects(breaker.run(broken, always));
    assert.equal(breaker.state, 'closed');
    await assert.rejects(breaker.run(broken, () => false));
    await assert.rejects(breaker.run(broken, always));
    assert.equal(breaker.state, 'closed');
  });

  it('lets one alone try when the while is over, and all again when that one got through', async () => {
    const { breaker, clock } = breakerAt();
    for (const _ of [1, 2]) await assert.rejects(breaker.run(broken, always));
    clock.nowMs = 100;
    assert.equal(breaker.state, 'half-open');
    let finish = (_: string) => {};
    const probe = breaker.run(() => new Promise<string>((resolve) => (finish = resolve)), always);
    await assert.rejects(breaker.run(fine, always), CircuitOpenError);
    finish('up');
    assert.equal(await probe, 'up');
    assert.equal(await breaker.run(fine, always), 'up');
    assert.equal(breaker.state, 'closed');
  });

  it('is open once more when that one fails', async () => {
    const { breaker, clock } = breakerAt();
    for (const _ of [1, 2]) await assert.rejects(breaker.run(broken, always));
    clock.nowMs = 100;
    await assert.rejects(breaker.run(broken, always), /down/);
    assert.equal(breaker.state, 'open');
    clock.nowMs = 200;
    assert.equal(await breaker.run(fine, always), 'up');
  });

  it('is not kept from all others by one that tries it and never has an answer', async () => {
    const { breaker, clock } = breakerAt();
    for (const _ of [1, 2]) await assert.rejects(breaker.run(broken, always));
    clock.nowMs = 100;
    void breaker.run(() => new Promise(() => {}), always);
    clock.nowMs = 149;
    await assert.rejects(breaker.run(fine, always), CircuitOpenError);
    clock.nowMs = 150;
    await assert.rejects(breaker.run(fine, always), CircuitOpenError);
    assert.equal(breaker.state, 'open');
    clock.nowMs = 250;
    assert.equal(await breaker.run(fine, always), 'up');
    assert.equal(breaker.state, 'closed');
  });
});
