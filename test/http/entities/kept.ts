/** Entities for tests: types of them, and how they are written. */
import type { Client, TestGateway } from '../../harness.ts';
import { ok, typesPath } from '../admin/staff.ts';

export const entitiesPath = '/api/v1/admin/entities';

/** The path of an entity by its reference. */
export function at(reference: string): string {
  const colon = reference.indexOf(':');
  return `${entitiesPath}/${reference.slice(0, colon)}/${encodeURIComponent(reference.slice(colon + 1))}`;
}

/** Writes an entity that is not there yet. */
export async function put(client: Client, reference: string, parts: object = {}) {
  return ok(await client.put(at(reference), parts), 201).body;
}

/** Takes every entity away, whoever has it as parent. */
export async function removeAll({ services: { db } }: TestGateway): Promise<void> {
  await db('entity_parents').delete();
  await db('entities').delete();
}

const string = { type: 'string' };
const strings = { type: 'array', items: 'string' };

/** Folders with viewers and what lies in them, groups and robots, and types to be told from these. */
export async function addEntityTypes(root: Client): Promise<void> {
  for (const type of [
    { type: 'folder', attributes: { id: string, title: string, viewers: strings } },
    {
      type: 'file',
      attributes: { id: string, title: string, viewers: strings, sealed: { type: 'boolean' } },
    },
    { type: 'group', attributes: { id: string, level: string } },
    { type: 'robot', attributes: { id: string, department: string } },
    { type: 'device', attributes: { id: { type: 'uuid' } } },
    { type: 'listed', attributes: { id: string } },
  ])
    ok(await root.post(typesPath, { actions: ['read', 'update'], ...type }), 201);
}
