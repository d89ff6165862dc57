/** Targets that are none: what cannot be decoded is not passed on undecoded. */
import { rawRequest } from '../../http/gateway/upstream.ts';
import { assertArrived, assertRefused } from './arrived.ts';
import { as, field } from './field.ts';

/** No UTF-8, for one reason or another: stray, overlong, half a pair, beyond Unicode, cut off. */
const notUtf8 = [
  '%ff',
  '%80',
  '%c0%80',
  '%c1%81',
  '%e0%80%af',
  '%f0%80%80%af',
  '%ed%a0%80',
  '%f4%90%80%80',
  '%c3',
  '%e2%82',
];
const notEncoded = ['%', '%%', '%2', '%zz', '%2g', '%g2', '% 2', '%u0041', '%-1', '%+1', '%x41', 'a%'];
const controls = ['%00', '%01', '%08', '%0a', '%0d', '%1b', '%7f', '%c2%80', '%c2%85', '%c2%9f'];

describe('malformed URIs (CVE-2021-32637)', () => {
  before(field);

  it('are refused, in every place of a path, guarded or open', async () => {
    const { attack, user } = await field();
    for (const part of [...notUtf8, ...notEncoded, ...controls])
      for (const target of [`/open/${part}`, `/admin/${part}`, `/files/a${part}`, `/${part}`])
        assertRefused(await attack(rawRequest(target, { headers: [as(user.client)] })), target);
  });

  it('are refused in a query where they are no encoding, and where a decision reads it also where they are no UTF-8', async () => {
    const { attack, user } = await field();
    for (const part of [...notEncoded.filter((text) => !text.includes(' ')), '%00', 'a%00b']) {
      const target = `/open/a?q=${part}`;
      assertRefused(await attack(rawRequest(target)), target);
    }
    for (const part of notUtf8)
      for (const target of [
        `/by-query?area=shared&${part}=1`,
        `/by-query?area=${part}`,
        `/by-query?area=shared&q=${part}`,
      ])
        assertRefused(await attack(rawRequest(target, { headers: [as(user.client)] })), target);
    assertArrived(await attack(rawRequest('/open/a?q=%ff')), '/open/a?q=%ff');
  });

  it('are refused where bytes are there that no URI has', async () => {
    const { attack } = await field();
    for (const byte of ['\x00', '\x01', '\t', '\x0b', '\x7f', '\x80', '\xc3\xa9', '\xff', '\r', '\n'])
      for (const target of [`/open/${byte}`, `/open/a${byte}b`, `/open/a?q=${byte}b`])
        assertRefused(await attack(Buffer.from(rawRequest(target), 'latin1')), JSON.stringify(target));
  });

  it('are refused where they are longer than 8000 characters', async () => {
    const { attack } = await field();
    assertArrived(await attack(rawRequest(`/open/${'a'.repeat(7994)}`)), `/open/${'a'.repeat(7994)}`);
    assertRefused(await attack(rawRequest(`/open/${'a'.repeat(7995)}`)), 'a target of 8001');
    assertRefused(await attack(rawRequest(`/open/a?${'a'.repeat(7993)}`)), 'a query beyond 8000');
    assertRefused(await attack(rawRequest(`/open/${'a'.repeat(17_000)}`)), 'a target of 17,000', 431);
  });
});
