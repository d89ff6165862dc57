/** Bursts of logins: hashing takes memory by the tens of megabytes, so it must queue, and the queue must end. */
import assert from 'node:assert/strict';
import { mock } from 'node:test';
import argon2 from 'argon2';
import { anonymousClient, type Client, startGateway, type TestGateway } from '../../harness.ts';
import { assertProblem, form, login, register } from './people.ts';

describe('a burst of logins', () => {
  let gateway: TestGateway;
  let client: Client;
  let running = 0;
  let mostRunning = 0;
  before(async () => {
    gateway = await startGateway({
      env: {
        PASSWORD_HASH_CONCURRENCY: '2',
        PASSWORD_HASH_QUEUE: '7',
        LOGIN_FAILURES_PER_ADDRESS: '100',
        LOGIN_FAILURES_PER_ACCOUNT_AND_ADDRESS: '20',
      },
    });
    client = anonymousClient(gateway);
  });
  after(() => gateway.close());

  const counted =
    <T extends unknown[], R>(work: (...given: T) => Promise<R>) =>
    async (...given: T): Promise<R> => {
      mostRunning = Math.max(mostRunning, ++running);
      try {
        return await work(...given);
      } finally {
        running--;
      }
    };

  beforeEach(() => {
    mostRunning = 0;
    mock.method(argon2, 'verify', counted(argon2.verify));
    mock.method(argon2, 'hash', counted(argon2.hash));
  });
  afterEach(() => mock.restoreAll());

  it('hashes no more at once than the setting, queues as many as the setting, and refuses the rest', async () => {
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        login(client, { email: `burst${i}@example.org`, password: 'not this one' }),
      ),
    );
    const refused = answers.filter(({ status }) => status === 503);
    assert.ok(mostRunning <= 2, `${mostRunning} at once`);
    assert.ok(refused.length > 0 && refused.length <= 31, `${refused.length} refused`);
    assert.equal(answers.filter(({ status }) => status === 401).length, 40 - refused.length);
    for (const answer of refused) {
      assertProblem(answer, 503, 'overloaded');
      assert.ok(Number(answer.headers.get('retry-after')) > 0);
    }
  });

  it('holds for registrations as well', async () => {
    const answers = await Promise.all(
      Array.from({ length: 40 }, () => client.post('/api/v1/auth/register', form())),
    );
    assert.ok(mostRunning <= 2, `${mostRunning} at once`);
    assert.ok(answers.some(({ status }) => status === 503));
    assert.ok(answers.some(({ status }) => status === 201));
  });

  it('what was refused for want of room is no failed login', async () => {
    const person = await register(client);
    for (let round = 0; round < 4; round++) {
      const answers = await Promise.all(Array.from({ length: 19 }, () => login(client, person)));
      assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200, 503]));
    }
    assert.equal((await login(client, person)).status, 200);
  });
});
