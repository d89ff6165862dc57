/** `castellan entities export` */
import { once } from 'node:events';
import { allEntities } from '../policy/entity-store.ts';
import { terseEntity } from '../policy/policy-document.ts';
import type { Command } from './command.ts';
import { withLiveDatabase } from './live-database.ts';

export const entitiesExport: Command = {
  name: 'entities export',
  summary:
    'Write all entities to standard output, a line of JSON for each; imported again they change nothing',
  options: [{ name: 'type', type: 'string', meaning: 'only those of this resource type' }],
  run: ({ type }) =>
    withLiveDatabase(({ db }) =>
      // In one view of the tables, however long it takes.
      db.transaction(
        async (trx) => {
          for await (const batch of allEntities(trx, typeof type === 'string' ? type : undefined)) {
            const lines = batch.map((entity) => `${JSON.stringify(terseEntity(entity))}\n`);
            if (!process.stdout.write(lines.join(''))) await once(process.stdout, 'drain');
          }
        },
        { isolationLevel: 'repeatable read', readOnly: true },
      ),
    ),
};
