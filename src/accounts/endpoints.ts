/** Everything under `/api/v1/auth` and `/api/v1/me`. */
import type { GuardedEndpoint } from '../enforcement/access.ts';
import type { Services } from '../services.ts';
import { authEndpoints } from './auth-endpoints.ts';
import type { AccountParts } from './check-password.ts';
import { loginThrottle } from './login-throttle.ts';
import { meEndpoints } from './me-endpoints.ts';
import { sessionEndpoints } from './session-endpoints.ts';

/** Registration, login and logout; the caller's own profile, password, sessions and ability. */
export function accountEndpoints(services: Services): GuardedEndpoint[] {
  const parts: AccountParts = {
    ...services,
    throttle: loginThrottle(services.shared, services.config.login),
  };
  return [...authEndpoints(parts), ...meEndpoints(parts), ...sessionEndpoints(parts)];
}
