/** The sample API that `npm start` shows. */
import type { GuardedEndpoint } from '../enforcement/access.ts';
import type { Sources } from '../enforcement/source.ts';
import type { Services } from '../services.ts';
import { documentEndpoints } from './documents.ts';
import { DocumentRow, OrderRow } from './models.ts';
import { orderEndpoints } from './orders.ts';

/** The tables behind the demo's resource types. */
export const demoSources: Sources = new Map([
  [DocumentRow.resource, DocumentRow.source],
  [OrderRow.resource, OrderRow.source],
]);

export function demoEndpoints(services: Services): GuardedEndpoint[] {
  return [...documentEndpoints(services), ...orderEndpoints(services)];
}
