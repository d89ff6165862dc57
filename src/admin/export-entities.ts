/** All entities at once, for whoever may read each of them whole. */
import { ENTITY_RESOURCE, entityAttributes } from '../decision/entities.ts';
import type { GuardedCall } from '../enforcement/access.ts';
import { AppError } from '../errors.ts';
import { type Entity, referenceTo } from '../policy/entity.ts';
import { allEntities } from '../policy/entity-store.ts';
import type { Services } from '../services.ts';
import { isReadable } from './fill-stored.ts';

/** Every entity, in the order of type and id. Throws `access_denied` where the caller may not read all of one: an export has no gaps. */
export async function readableEntities(
  services: Services,
  call: Pick<GuardedCall, 'req' | 'context'>,
): Promise<Entity[]> {
  const entities: Entity[] = [];
  for await (const batch of allEntities(services.db))
    for (const entity of batch) {
      if (!(await isReadable(services, call, ENTITY_RESOURCE, entityAttributes(entity))))
        throw new AppError('access_denied', {
          message: `you may not read all of the entity ${referenceTo(entity)}, which the export would hold`,
        });
      entities.push(entity);
    }
  return entities;
}
