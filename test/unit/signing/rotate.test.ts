/** When the next key is made, and which one signs. */
import assert from 'node:assert/strict';
import { keyAt, nextStart } from '../../../src/signing/rotate.ts';

const HOUR = 60 * 60 * 1000;
const DAY = 24 * HOUR;

describe('the next signing key', () => {
  const key = (fromMs: number, untilMs: number) => ({
    signsFrom: new Date(fromMs),
    signsUntil: new Date(untilMs),
    publishedUntil: new Date(untilMs + DAY),
  });

  it('signs at once where there is none, or none any more', () => {
    assert.equal(nextStart([], 5, 30 * DAY), 5);
    assert.equal(nextStart([key(0, 30 * DAY)], 31 * DAY, 30 * DAY), 31 * DAY);
  });

  it('is made a day ahead, and signs when the one before ends', () => {
    const keys = [key(0, 30 * DAY)];
    assert.equal(nextStart(keys, 29 * DAY - 1, 30 * DAY), undefined);
    assert.equal(nextStart(keys, 29 * DAY, 30 * DAY), 30 * DAY);
    assert.equal(nextStart([...keys, key(30 * DAY, 60 * DAY)], 29 * DAY, 30 * DAY), undefined);
  });

  it('is made a tenth of the period ahead where that is shorter', () => {
    assert.equal(nextStart([key(0, DAY)], 0.9 * DAY - 1, DAY), undefined);
    assert.equal(nextStart([key(0, DAY)], 0.9 * DAY, DAY), DAY);
  });

  it('takes over to the millisecond', () => {
    const keys = [key(0, DAY), key(DAY, 2 * DAY)];
    assert.deepEqual(
      [-1, 0, DAY - 1, DAY, 2 * DAY].map((at) => keyAt(keys, at)?.signsFrom.getTime()),
      [undefined, 0, 0, DAY, undefined],
    );
  });
});
