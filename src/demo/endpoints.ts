/** The sample API that `npm start` shows. */
import type { Config } from '../config.ts';
import type { GuardedEndpoint } from '../enforcement/access.ts';
import type { Source, Sources } from '../enforcement/source.ts';
import type { Services } from '../services.ts';
import { documentEndpoints } from './documents.ts';
import { DocumentRow, OrderRow } from './models.ts';
import { orderEndpoints } from './orders.ts';

/** The tables behind the demo's resource types. */
export const demoSources: Sources = new Map<string, Source>([
  [DocumentRow.resource, DocumentRow.source],
  [OrderRow.resource, OrderRow.source],
]);

/** The tables of the resource types that this process serves. */
export function sourcesOf({ demo }: Pick<Config, 'demo'>): Sources {
  return demo ? demoSources : new Map();
}

export function demoEndpoints(services: Services): GuardedEndpoint[] {
  return [...documentEndpoints(services), ...orderEndpoints(services)];
}
