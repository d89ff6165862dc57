/** User enumeration at the login: what a stranger can tell apart, by answer and by cost. */
import assert from 'node:assert/strict';
import { mock } from 'node:test';
import argon2 from 'argon2';
import { type Answer, anonymousClient, type Client, startGateway, type TestGateway } from '../../harness.ts';
import { assertProblem, hashParameters, login, register } from './people.ts';

const wrong = 'certainly not the password';

describe('user enumeration at the login', () => {
  let gateway: TestGateway;
  let client: Client;
  let cases: Record<string, { email: string; password: string }>;

  before(async () => {
    gateway = await startGateway({
      env: { LOGIN_FAILURES_PER_ACCOUNT_AND_ADDRESS: '4', TRUSTED_PROXIES: '127.0.0.1' },
    });
    client = anonymousClient(gateway);
    const [person, gone] = [await register(client), await register(client)];
    await gateway.services.db('accounts').where({ id: gone.id }).update({ is_active: false });
    cases = {
      'a wrong password': { email: person.email, password: wrong },
      'an unknown e-mail': { email: 'nobody@example.org', password: wrong },
      'what is no e-mail at all': { email: 'nobody', password: wrong },
      'a deactivated account, its password right': gone,
      'a deactivated account, its password wrong': { email: gone.email, password: wrong },
    };
  });
  after(() => gateway.close());

  it('one answer: the same status, headers and body for whatever is wrong', async () => {
    const seen = new Map<string, string>();
    for (const [what, who] of Object.entries(cases)) {
      const answer = await login(client, who, { 'x-request-id': 'same', 'x-forwarded-for': '198.51.100.1' });
      assertProblem(answer, 401, 'invalid_credentials');
      seen.set(what, comparable(answer));
    }
    assert.equal(new Set(seen.values()).size, 1, [...seen].map((pair) => pair.join(': ')).join('\n'));
  });

  it('one cost: one argon2 verification with the same parameters, and no hashing', async () => {
    const verify = mock.method(argon2, 'verify');
    const hash = mock.method(argon2, 'hash');
    try {
      const costs = new Set<string>();
      for (const who of Object.values(cases)) {
        verify.mock.resetCalls();
        await login(client, who, { 'x-forwarded-for': '198.51.100.2' });
        costs.add(verify.mock.calls.map(({ arguments: [stored] }) => hashParameters(String(stored))).join());
      }
      assert.deepEqual([...costs], ['argon2id v=19 m=19456 p=1 t=2']);
      assert.equal(hash.mock.callCount(), 0);
    } finally {
      verify.mock.restore();
      hash.mock.restore();
    }
  });

  it('one throttle: after as many failures, the same 429 whether or not there is such an account', async () => {
    const seen = new Set<string>();
    for (const [index, who] of Object.values(cases).entries()) {
      const headers = { 'x-request-id': 'same', 'x-forwarded-for': `203.0.113.${index}` };
      const client = anonymousClient(gateway);
      const statuses: number[] = [];
      let answer: Answer;
      do {
        answer = await login(client, who, headers);
        statuses.push(answer.status);
      } while (answer.status === 401);
      assert.ok(Number(answer.headers.get('retry-after')) >= 890);
      seen.add(`${statuses.join()} ${comparable(answer)}`);
    }
    assert.equal(seen.size, 1, [...seen].join('\n'));
    assert.match([...seen].join(), /^401,401,401,401,429 /);
  });
});

/** Everything that is told, but for the clock. */
function comparable({ status, headers, body }: Answer): string {
  const told = [...headers].filter(([name]) => !['date', 'retry-after', 'keep-alive'].includes(name));
  return JSON.stringify([status, told, body]);
}
