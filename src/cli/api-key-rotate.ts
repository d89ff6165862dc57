/** `castellan api-key rotate <id>` */
import { auditApiKey, lockApiKey, presentApiKey, requireUnrevoked, rotateApiKey } from '../admin/api-key.ts';
import { rotation } from '../admin/api-keys.ts';
import { parse } from '../http/endpoint.ts';
import { changeApiKeys, readKeyId } from './change-api-keys.ts';
import { type Command, jsonOption, printResult, readNumber } from './command.ts';

export const apiKeyRotate: Command = {
  name: 'api-key rotate',
  summary: 'Give an API key a new secret; its token is printed this once',
  argument: { name: '<id>', missing: 'name a key by its id; castellan api-key list has them' },
  options: [
    {
      name: 'overlap',
      type: 'string',
      meaning: 'seconds for which the secret before is accepted as well; left out: it is not',
    },
    jsonOption,
  ],
  run: async ({ overlap, json }, [typed]) => {
    const id = readKeyId(typed);
    const given = overlap === undefined ? {} : { overlapSeconds: readNumber('--overlap', overlap) };
    const { overlapSeconds } = parse(rotation, given, '') as { overlapSeconds: number };
    const { key, token } = await changeApiKeys('api-key rotate', async (trx, actor) => {
      const before = await lockApiKey(trx, id);
      requireUnrevoked(before);
      const minted = await rotateApiKey(trx, before, overlapSeconds);
      await auditApiKey(trx, actor, 'rotate', { before, after: minted.key });
      return minted;
    });
    const { previous } = presentApiKey(key);
    printResult(json, { apiKey: presentApiKey(key), token }, [
      previous
        ? `${previous.prefix}… is accepted until ${previous.expiresAt.toISOString()}`
        : 'the secret before is not accepted any more',
      'the new token, which is not shown again:',
      token,
    ]);
  },
};
