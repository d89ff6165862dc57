import assert from 'node:assert/strict';
import { BoundedQueue, type QueueBounds } from '../../../src/audit/bounded-queue.ts';

function queueOf(bounds: Partial<QueueBounds>, ...texts: string[]) {
  const queue = new BoundedQueue({ most: 100, mostCharacters: 1000, ...bounds });
  const dropped = texts.map((text, atMs) => queue.add({ atMs, text }));
  return { queue, dropped };
}
const textsIn = (entries: readonly { text: string }[]) => entries.map(({ text }) => text).join('');

describe('the queue of the decision log', () => {
  it('gives the oldest first', () => {
    const { queue } = queueOf({}, 'a', 'b', 'c');
    assert.equal(textsIn(queue.take(2)), 'ab');
    queue.done();
    assert.equal(textsIn(queue.take(2)), 'c');
  });

  it('drops the oldest beyond its number, and says how many', () => {
    const { queue, dropped } = queueOf({ most: 2 }, 'a', 'b', 'c', 'd');
    assert.deepEqual(dropped, [0, 0, 1, 1]);
    assert.equal(textsIn(queue.take(9)), 'cd');
  });

  it('drops the oldest beyond its characters, and one alone that is too large', () => {
    const { queue, dropped } = queueOf({ mostCharacters: 10 }, 'aaaa', 'bbbb', 'cccccccc', 'd'.repeat(11));
    assert.deepEqual(dropped, [0, 0, 2, 2]);
    assert.equal(queue.size, 0);
  });

  it('counts what was taken until it is done with: what comes meanwhile has no more room', () => {
    const { queue } = queueOf({ most: 3, mostCharacters: 6 }, 'aa', 'bb');
    queue.take(2);
    assert.equal(queue.add({ atMs: 0, text: 'cc' }), 0);
    assert.equal(queue.add({ atMs: 0, text: 'dd' }), 1);
    assert.equal(queue.size, 3);
    queue.done();
    assert.equal(queue.size, 1);
    assert.equal(queue.add({ atMs: 0, text: 'eeee' }), 0);
    assert.equal(textsIn(queue.take(9)), 'ddeeee');
  });

  it('has what is given back as the oldest again', () => {
    const { queue } = queueOf({}, 'a', 'b', 'c');
    queue.take(2);
    queue.add({ atMs: 0, text: 'd' });
    queue.giveBack();
    assert.equal(queue.size, 4);
    assert.equal(textsIn(queue.take(9)), 'abcd');
  });

  it('keeps its order over thousands that come and go', () => {
    const { queue } = queueOf({ most: 50, mostCharacters: 1e6 });
    const taken: string[] = [];
    for (let n = 0; n < 5000; n++) {
      queue.add({ atMs: n, text: `${n}` });
      if (n % 7 !== 0) continue;
      taken.push(...queue.take(5).map(({ text }) => text));
      queue.done();
    }
    const numbers = taken.map(Number);
    assert.deepEqual(
      numbers,
      numbers.toSorted((a, b) => a - b),
    );
    assert.ok(queue.size <= 50);
  });
});
