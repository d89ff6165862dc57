/** Everything under /api/v1/admin. */
import type { GuardedEndpoint } from '../enforcement/access.ts';
import type { Services } from '../services.ts';
import { apiKeyEndpoints } from './api-keys.ts';
import { auditEndpoints } from './audit.ts';
import { decisionEndpoints } from './decisions.ts';
import { entityEndpoints } from './entities.ts';
import { explainEndpoints } from './explain.ts';
import { policyEndpoints } from './policy.ts';
import { reachEndpoints } from './reach.ts';
import { resourceTypeEndpoints } from './resource-types.ts';
import { roleEndpoints } from './roles.ts';
import { routeEndpoints } from './routes.ts';
import { ruleEndpoints } from './rules.ts';
import { userEndpoints } from './users.ts';
import { whoCanEndpoints } from './who-can.ts';

export function adminEndpoints(services: Services): GuardedEndpoint[] {
  return [
    ...ruleEndpoints(services),
    ...roleEndpoints(services),
    ...resourceTypeEndpoints(services),
    ...routeEndpoints(services),
    ...userEndpoints(services),
    ...apiKeyEndpoints(services),
    ...entityEndpoints(services),
    ...policyEndpoints(services),
    ...explainEndpoints(services),
    ...decisionEndpoints(services),
    ...reachEndpoints(services),
    ...whoCanEndpoints(services),
    ...auditEndpoints(services),
  ];
}
