/** `castellan api-key list` */
import { apiKeys, type PresentedApiKey, presentApiKey } from '../admin/api-key.ts';
import { type Command, jsonOption, printResult } from './command.ts';
import { withLiveDatabase } from './live-database.ts';

export const apiKeyList: Command = {
  name: 'api-key list',
  summary: 'List the API keys: id, prefix, state, last use, name and roles',
  options: [{ name: 'all', type: 'boolean', meaning: 'the revoked ones, too' }, jsonOption],
  run: async ({ all, json }) => {
    const items = await withLiveDatabase(async ({ db }) => {
      const query = apiKeys(db).orderBy(['name', 'id']);
      return (await (all === true ? query : query.whereNull('revokedAt'))).map(presentApiKey);
    });
    printResult(json, { items }, items.length > 0 ? items.map(line) : ['there are no API keys']);
  },
};

function line(key: PresentedApiKey): string {
  const used = key.lastUsedAt ? `used ${key.lastUsedAt.toISOString()}` : 'never used';
  const previous = key.previous
    ? `; ${key.previous.prefix}… until ${key.previous.expiresAt.toISOString()}`
    : '';
  return `${key.id}  ${key.prefix}…  ${stateOf(key)}  ${used}  ${key.name} (${key.roles.join(', ')})${previous}`;
}

function stateOf({ revokedAt, expiresAt }: PresentedApiKey): string {
  if (revokedAt) return `revoked ${revokedAt.toISOString()}`;
  if (!expiresAt) return 'lasts';
  return `${expiresAt > new Date() ? 'until' : 'expired'} ${expiresAt.toISOString()}`;
}
