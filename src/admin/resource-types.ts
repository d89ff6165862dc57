/** /admin/resource-types: kinds of resources with their actions and typed attributes. */
import { AppError } from '../errors.ts';
import { builtInTypes } from '../policy/built-in.ts';
import { ResourceTypeRow } from '../policy/models.ts';
import { listOf, type Policy, type ResourceType, typeAttributes } from '../policy/policy.ts';
import { resourceTypeSchema, shapeResourceType } from '../policy/rule-schema.ts';
import type { Services } from '../services.ts';
import { partEndpoints } from './policy-parts.ts';

export function resourceTypeEndpoints(services: Services) {
  return partEndpoints<ResourceType, ResourceTypeRow>(services, {
    path: 'resource-types',
    collection: 'resourceTypes',
    name: 'type',
    nameOf: ({ type }) => type,
    resource: 'castellan.resource-type',
    schema: resourceTypeSchema,
    shape: shapeResourceType,
    rows: (db) => ResourceTypeRow.query(db),
    attributesOf: typeAttributes,
    refuseRemoval,
    inUse: 'resource_type_in_use',
  });
}

function refuseRemoval(policy: Policy, type: string): void {
  if (builtInTypes.some((builtIn) => builtIn.type === type))
    throw new AppError('built_in', { message: `the gateway itself asks about ${type}` });
  const rules = policy.rules.filter(({ subject }) => listOf(subject).includes(type)).map(({ id }) => id);
  if (rules.length > 0)
    throw new AppError('resource_type_in_use', { message: `used by rules ${rules.slice(0, 5).join(', ')}` });
  const routes = policy.routes.filter(({ resource }) => resource === type).map(({ id }) => id);
  if (routes.length > 0)
    throw new AppError('resource_type_in_use', {
      message: `used by routes ${routes.slice(0, 5).join(', ')}`,
    });
}
