/** `castellan revisions` */
import { listRevisions } from '../admin/revisions.ts';
import { type Command, jsonOption, printResult, readNumber } from './command.ts';
import { withLiveDatabase } from './live-database.ts';

const USUAL = 20;

export const revisionsCommand: Command = {
  name: 'revisions',
  summary: 'List the states the policy was in, the newest first',
  options: [{ name: 'limit', type: 'string', meaning: `how many; default: ${USUAL}` }, jsonOption],
  run: async ({ limit: asked = String(USUAL), json }) => {
    const limit = readNumber('--limit', asked);
    const { items } = await withLiveDatabase(({ db }) => listRevisions(db, { limit }));
    const lines = items.map(({ number, createdAt, author, message, changes }) => {
      const counted = `+${changes.added} ~${changes.changed} -${changes.removed}`;
      const when = new Date(createdAt).toISOString();
      return `${String(number).padStart(5)}  ${when}  ${counted.padEnd(14)}  ${author.name}${message && `: ${message}`}`;
    });
    printResult(json, { items }, lines.length > 0 ? lines : ['no policy was published yet']);
  },
};
