/** Which passwords are refused, and which must not be. */
import assert from 'node:assert/strict';
import { type Person, refuseGuessable } from '../../../src/accounts/password-rules.ts';
import { AppError } from '../../../src/errors.ts';

const person: Person = {
  email: 'ann.o-brien@mail.example.com',
  firstName: 'Ánn Marie',
  lastName: "O'Brien",
  patronymic: null,
};

async function refusal(password: string, of: Person = person): Promise<string | undefined> {
  try {
    await refuseGuessable(password, '/password', of);
    return undefined;
  } catch (thrown) {
    assert.ok(thrown instanceof AppError);
    assert.equal(thrown.code, 'invalid_request');
    assert.equal(thrown.errors?.[0]?.pointer, '/password');
    return thrown.errors?.[0]?.message;
  }
}

const refused: [RegExp, string[]][] = [
  [/most common/, ['password', 'PASSWORD1', 'qwertyuiop', 'Iloveyou', '11111111']],
  [
    /name of this product/,
    ['castellan', 'Castellan', 'CASTELLAN123', 'c@5te11an!!', 'castellan castellan', 'my-castellan'],
  ],
  [/your own name/, ['annmarie-1987', 'obrien1990', 'O’Brien-Ann-7', 'marie.marie.marie', 'M4r1e.0br1en']],
  [/your e-mail/, ['ann.o-brien@mail.example.com', 'example2024', 'mail.example.com']],
  [/your name, your e-mail or/, ['annmail77castellan', 'marie@castellan']],
];
const accepted = [
  'correct horse battery staple',
  'ann lives in a quiet street',
  'obrienX9q!vTzLm2',
  'the castellan of the northern keep',
  '83921745093',
  '🦔🦊🐻🐼🐨🐯🦁🐮',
  'пароль-из-многих-слов',
  'Tr0ub4dor&3xyz',
];

describe('refuseGuessable', () => {
  for (const [reason, passwords] of refused)
    for (const password of passwords)
      it(`refuses ${password}: ${reason.source}`, async () =>
        assert.match((await refusal(password)) ?? 'it was accepted', reason));

  for (const password of accepted)
    it(`accepts ${password}`, async () => assert.equal(await refusal(password), undefined));

  it('knows names in any script, however their letters are composed', async () => {
    const of = { email: 'x@example.org', firstName: 'Зоя', lastName: '王', patronymic: 'Йоргенсена' };
    for (const password of ['зоя12345', 'ЗОЯ-ЗОЯ-ЗОЯ', 'йоргенсена'.normalize('NFD'), '王王王王王王王王'])
      assert.match((await refusal(password, of)) ?? 'it was accepted', /your own name/);
  });

  it('knows numbers that are an e-mail, however they are written', async () => {
    const of = { email: '8675309867@mail.example', firstName: 'A', lastName: 'B', patronymic: null };
    for (const password of ['8675309867', '867-530-9867'])
      assert.match((await refusal(password, of)) ?? 'it was accepted', /your e-mail/);
    assert.equal(await refusal('8675309867 and a horse', of), undefined);
  });

  it('does not take single letters of a name for a password made of it', async () => {
    const of = { email: 'a.b@c.de', firstName: 'A', lastName: 'B', patronymic: null };
    assert.equal(await refusal('1a2b3c4d5e6f', of), undefined);
    assert.equal(await refusal('abracadabrical', of), undefined);
  });
});
