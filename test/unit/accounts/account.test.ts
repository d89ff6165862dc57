/** What makes two e-mails one, and what is shown of an account. */
import assert from 'node:assert/strict';
import { Account, emailKey, presentUser } from '../../../src/accounts/account.ts';

describe('emailKey', () => {
  for (const [email, key] of [
    ['ann@example.org', 'ann@example.org'],
    [' Ann@EXAMPLE.org\n', 'ann@example.org'],
    ['Rene\u0301e@example.org', 'ren\u00e9e@example.org'],
    ['REN\u00c9E@example.org', 'ren\u00e9e@example.org'],
    ['\u212aelvin@example.org', 'kelvin@example.org'],
    ['\u0130@example.org', 'i\u0307@example.org'],
    ['ПОЧТА@ПРИМЕР.РФ', 'почта@пример.рф'],
  ] as const)
    it(`${JSON.stringify(email)}: ${key}`, () => {
      assert.equal(emailKey(email), key);
      assert.equal(emailKey(key), key);
      assert.equal(key, key.toLowerCase());
    });
});

describe('presentUser', () => {
  it('shows exactly the fields of the contract, whatever else the row holds', () => {
    const account = new Account();
    const shown = {
      id: '1',
      email: 'Ann@example.org',
      firstName: 'Ann',
      lastName: 'Lee',
      isActive: true,
      attributes: { department: 'sales' },
      createdAt: new Date(1),
      updatedAt: new Date(2),
    };
    Object.assign(account, shown, { passwordHash: 'secret', emailKey: 'ann@example.org', somethingNew: 1 });
    assert.deepEqual(presentUser(account, ['user']), { ...shown, patronymic: null, roles: ['user'] });
  });
});
