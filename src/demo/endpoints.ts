/** The sample API that `npm start` shows. */
import type { GuardedEndpoint } from '../enforcement/access.ts';
import type { Sources } from '../enforcement/source.ts';
import type { Services } from '../services.ts';
import { documentColumns, documentEndpoints } from './documents.ts';
import { orderColumns, orderEndpoints } from './orders.ts';

/** The tables behind the demo's resource types. */
export const demoSources: Sources = new Map([
  ['document', { table: 'documents', columns: documentColumns }],
  ['order', { table: 'orders', columns: orderColumns }],
]);

export function demoEndpoints(services: Services): GuardedEndpoint[] {
  return [...documentEndpoints(services), ...orderEndpoints(services)];
}
