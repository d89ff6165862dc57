/** `castellan keys rotate` */
import { recordAudit } from '../audit/record.ts';
import type { Config } from '../config.ts';
import { signingSettings } from '../services.ts';
import { findSecrets, periodOf } from '../signing/open-keys.ts';
import { type Rotation, rotateKeys } from '../signing/rotate.ts';
import type { Database } from '../storage/postgres.ts';
import { type Command, jsonOption, printResult, UsageError } from './command.ts';
import { withDatabase } from './with-database.ts';

export const keysRotate: Command = {
  name: 'keys rotate',
  summary: 'Make the next key that signs before its time; running gateways read it within a minute',
  options: [
    {
      name: 'now',
      type: 'boolean',
      meaning: 'a key is known to others: sign with the new one at once, and remove those before',
    },
    jsonOption,
  ],
  notes: ['It needs the settings of the gateway: the new key is encrypted with its signing secret.'],
  run: async ({ now, json }) => {
    const { made, replaced } = await withDatabase((db, config) => rotate(db, config, now === true));
    const { kid, signsFrom, signsUntil } = made;
    printResult(json, { kid, signsFrom, signsUntil, replaced }, [
      `${kid} is made, and signs from ${signsFrom.toISOString()}`,
      ...replaced.map((old) => `${old} ${now === true ? 'is removed' : 'signs until then'}`),
    ]);
  },
};

async function rotate(db: Database, config: Config, atOnce: boolean): Promise<Rotation> {
  const settings = signingSettings(config);
  const secrets = await findSecrets(settings);
  if (!secrets)
    throw new UsageError(
      'SIGNING_SECRET is not set, and DATA_DIR has no secret; use the settings of the gateway',
    );
  return db.transaction(async (trx) => {
    const periodMs = periodOf(settings);
    const rotation = await rotateKeys(trx, { secrets, periodMs, nowMs: Date.now(), atOnce });
    const { kid, signsFrom } = rotation.made;
    await recordAudit(trx, {
      actor: { id: null, name: 'castellan keys rotate', address: null, requestId: null },
      action: 'signing-key.rotate',
      target: { type: 'castellan.signing-key', id: kid },
      before: { kids: rotation.replaced },
      after: { kid, signsFrom, atOnce },
    });
    return rotation;
  });
}
