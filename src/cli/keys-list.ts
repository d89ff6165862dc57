/** `castellan keys list` */

import { signingSettings } from '../services.ts';
import { readKeyRows } from '../signing/key-rows.ts';
import { findSecrets } from '../signing/open-keys.ts';
import { keyAt } from '../signing/rotate.ts';
import { type Command, jsonOption, printResult } from './command.ts';
import { withDatabase } from './with-database.ts';

interface ListedKey {
  kid: string;
  state: 'next' | 'signs' | 'published' | 'ended';
  /** Which secret it is encrypted with. */
  secret: 'current' | 'previous' | 'other';
  signsFrom: Date;
  signsUntil: Date;
  publishedUntil: Date;
}

export const keysList: Command = {
  name: 'keys list',
  summary: 'List the keys that sign: id, state, times and which secret they are encrypted with',
  options: [jsonOption],
  run: async ({ json }) => {
    const items = await withDatabase(async (db, config) => {
      const secrets = (await findSecrets(signingSettings(config))) ?? [];
      const rows = await readKeyRows(db);
      return rows.map(({ kid, secretId, signsFrom, signsUntil, publishedUntil }): ListedKey => {
        const at = secrets.findIndex(({ id }) => id === secretId);
        const secret = at < 0 ? 'other' : at === 0 ? 'current' : 'previous';
        const state = stateOf({ signsFrom, signsUntil, publishedUntil });
        return { kid, state, secret, signsFrom, signsUntil, publishedUntil };
      });
    });
    printResult(json, { items }, items.length > 0 ? items.map(line) : ['there are no signing keys yet']);
  },
};

function stateOf(times: Pick<ListedKey, 'signsFrom' | 'signsUntil' | 'publishedUntil'>): ListedKey['state'] {
  const nowMs = Date.now();
  if (times.signsFrom.getTime() > nowMs) return 'next';
  if (keyAt([times], nowMs)) return 'signs';
  return times.publishedUntil.getTime() > nowMs ? 'published' : 'ended';
}

function line({ kid, state, secret, signsFrom, signsUntil, publishedUntil }: ListedKey): string {
  const [from, until, published] = [signsFrom, signsUntil, publishedUntil].map((at) => at.toISOString());
  return `${kid}  ${state}  from ${from} until ${until}, published until ${published}  ${secret} secret`;
}
