/** `castellan api-key create <name>` */
import { auditApiKey, insertApiKey, presentApiKey } from '../admin/api-key.ts';
import { apiKeyCreation } from '../admin/api-keys.ts';
import type { ApiKeyCreation } from '../admin/change-api-key.ts';
import { requireKnownRoles } from '../admin/change-user.ts';
import { parse } from '../http/endpoint.ts';
import { changeApiKeys } from './change-api-keys.ts';
import { type Command, jsonOption, printResult, UsageError } from './command.ts';

export const apiKeyCreate: Command = {
  name: 'api-key create',
  summary: 'Make an API key for a service; its token is printed this once',
  argument: { name: '<name>', missing: 'name the key' },
  options: [
    { name: 'role', type: 'string', meaning: 'required; several with commas between' },
    {
      name: 'expires',
      type: 'string',
      meaning: 'ISO 8601, such as 2030-01-31; left out: it lasts until it is revoked',
    },
    jsonOption,
  ],
  run: async ({ role, expires, json }, [name]) => {
    if (role === undefined) throw new UsageError('--role is required');
    const roles = String(role).split(',');
    const given = { name, roles, ...(expires !== undefined && { expiresAt: expires }) };
    const creation = parse(apiKeyCreation, given, '') as ApiKeyCreation;
    const { key, token } = await changeApiKeys('api-key create', async (trx, actor, snapshot) => {
      requireKnownRoles(creation.roles, snapshot);
      const minted = await insertApiKey(trx, { ...creation, createdBy: null });
      await auditApiKey(trx, actor, 'create', { after: minted.key });
      return minted;
    });
    printResult(json, { apiKey: presentApiKey(key), token }, [
      `made ${key.name} (${key.id}) with the roles ${key.roles.join(', ')}`,
      'its token, which is not shown again:',
      token,
    ]);
  },
};
