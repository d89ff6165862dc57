/** `castellan api-key revoke <id>` */
import { auditApiKey, lockApiKey, presentApiKey, revokeApiKey } from '../admin/api-key.ts';
import { changeApiKeys, readKeyId } from './change-api-keys.ts';
import { type Command, jsonOption, printResult } from './command.ts';

export const apiKeyRevoke: Command = {
  name: 'api-key revoke',
  summary: 'End an API key for good, on every node at once',
  argument: { name: '<id>', missing: 'name a key by its id; castellan api-key list has them' },
  options: [jsonOption],
  run: async ({ json }, [typed]) => {
    const id = readKeyId(typed);
    const key = await changeApiKeys('api-key revoke', async (trx, actor) => {
      const before = await lockApiKey(trx, id);
      if (before.revokedAt) return before;
      const after = await revokeApiKey(trx, before);
      await auditApiKey(trx, actor, 'revoke', { before, after });
      return after;
    });
    printResult(json, { apiKey: presentApiKey(key) }, [`${key.name} (${key.id}) is revoked`]);
  },
};
