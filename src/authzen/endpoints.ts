/** Everything under /access/v1, and the metadata. */
import type { Access, GuardedEndpoint } from '../enforcement/access.ts';
import type { Services } from '../services.ts';
import { evaluationEndpoints } from './evaluate.ts';
import { metadataEndpoints } from './metadata.ts';
import { searchEndpoints } from './search.ts';

/** Asking for a decision is an action like any other; AUTHZEN_PUBLIC leaves it to whoever reaches the gateway. */
export function authzenEndpoints(services: Services): GuardedEndpoint[] {
  const access: Access = services.config.authzenPublic
    ? 'public'
    : { action: 'evaluate', resource: 'castellan.decision', load: () => ({}) };
  return [
    ...evaluationEndpoints(services, access),
    ...searchEndpoints(services, access),
    ...metadataEndpoints(services),
  ];
}
