/** Client addresses: one spelling, and what counts as one client. */
import assert from 'node:assert/strict';
import { clientRange, plainAddress } from '../../../src/sessions/address.ts';

const table: [string | undefined, string | null, string][] = [
  ['203.0.113.7', '203.0.113.7', '203.0.113.7'],
  ['::ffff:203.0.113.7', '203.0.113.7', '203.0.113.7'],
  ['::FFFF:cb00:7107', '203.0.113.7', '203.0.113.7'],
  ['2001:DB8:0:1:0:0:0:7', '2001:db8:0:1::7', '2001:db8:0:1::/64'],
  ['2001:db8:0:1:ffff:ffff:ffff:ffff', '2001:db8:0:1:ffff:ffff:ffff:ffff', '2001:db8:0:1::/64'],
  ['2001:db8:0:2::', '2001:db8:0:2::', '2001:db8:0:2::/64'],
  ['fe80::1%eth0', 'fe80::1', 'fe80::/64'],
  ['::1', '::1', '::/64'],
  ['', null, 'unknown'],
  ['not an address', null, 'unknown'],
  [undefined, null, 'unknown'],
];

describe('client addresses', () => {
  for (const [given, plain, range] of table)
    it(`${given}: ${plain}, in ${range}`, () => {
      assert.equal(plainAddress(given), plain);
      assert.equal(clientRange(given), range);
    });
});
