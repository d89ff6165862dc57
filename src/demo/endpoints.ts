/** The sample API that `npm start` shows. */
import type { GuardedEndpoint } from '../enforcement/access.ts';
import type { Services } from '../services.ts';
import { documentEndpoints } from './documents.ts';
import { orderEndpoints } from './orders.ts';

export function demoEndpoints(services: Services): GuardedEndpoint[] {
  return [...documentEndpoints(services), ...orderEndpoints(services)];
}
