/** `castellan entities list` */
import { referenceTo } from '../policy/entity.ts';
import { listEntities, type StoredEntity } from '../policy/entity-store.ts';
import { type Command, jsonOption, printResult, readNumber } from './command.ts';
import { withLiveDatabase } from './live-database.ts';

const USUAL_LIMIT = 100;

export const entitiesList: Command = {
  name: 'entities list',
  summary: 'List entities: name, version, roles and parents',
  options: [
    { name: 'type', type: 'string', meaning: 'only those of this resource type' },
    { name: 'limit', type: 'string', meaning: `how many; default: ${USUAL_LIMIT}` },
    jsonOption,
  ],
  run: async ({ type, limit: asked, json }) => {
    const limit = asked === undefined ? USUAL_LIMIT : readNumber('--limit', asked);
    const found = await withLiveDatabase(({ db }) =>
      listEntities(db, { type: typeof type === 'string' ? type : undefined, limit: limit + 1 }),
    );
    const items = found.slice(0, limit);
    const more = found.length > limit ? ['… and more; --limit shows more of them'] : [];
    const lines = items.length > 0 ? [...items.map(line), ...more] : ['there are no entities'];
    printResult(json, { items, more: found.length > limit }, lines);
  },
};

function line(entity: StoredEntity): string {
  const { version, roles, parents } = entity;
  const parts = [
    roles.length > 0 ? `roles ${roles.join(', ')}` : '',
    parents.length > 0 ? `in ${parents.join(', ')}` : '',
  ].filter(Boolean);
  return [referenceTo(entity), `version ${version}`, ...parts].join('  ');
}
