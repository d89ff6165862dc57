/** The guard of our own endpoint tables. */
import { AppError } from '../errors.ts';
import { after } from '../http/after.ts';
import type { Guard } from '../http/endpoint.ts';
import type { LivePolicy } from '../policy/live-policy.ts';
import { principalFor } from '../sessions/authenticate.ts';
import { accessOf, identityOf, kindOf } from '../sessions/request-access.ts';
import type { Access, AccessContext } from './access.ts';
import type { Gatekeeper } from './gatekeeper.ts';

export interface GuardOptions {
  live: LivePolicy;
  gatekeeper: Gatekeeper;
}

/**
 * Before the input is read, those are turned away who could not enter with any input: they learn nothing of what is
 * there or what would be valid. With the input known, the one resource is loaded and decided on.
 */
export function guard({ live, gatekeeper }: GuardOptions): Guard<Access, AccessContext> {
  return {
    beforeInput: (req, res, access) => {
      if (access === 'public') return;
      if (access === 'authenticated' || access === 'account') {
        const identity = identityOf(req);
        if (!identity)
          throw new AppError('unauthenticated', {
            message: 'log in, or send a token as Authorization: Bearer',
          });
        if (access === 'account' && !identity.account)
          throw new AppError('access_denied', {
            message: `it is about an account, and ${kindOf(identity)} has none`,
          });
        return;
      }
      return after(gatekeeper.requirePossible(req, res, access), () => {});
    },
    admit: (call, access) => {
      const { req, res } = call;
      const pinned =
        typeof access === 'string' ? (req.access?.snapshot ?? live.snapshot) : gatekeeper.pin(req, res);
      return after(pinned, (snapshot) => {
        const identity = identityOf(req);
        const principal = principalFor(req, snapshot);
        if (typeof access === 'string' || !access.load)
          return {
            identity,
            principal,
            snapshot,
            loaded: undefined,
            request: undefined,
            decision: undefined,
          };
        return after(access.load(call), (loaded) =>
          after(gatekeeper.requireAllowed(req, res, access, loaded), ({ request, decision }) => {
            accessOf(req).request = request;
            const fields = access.writes?.(call) ?? [];
            const context = { identity, principal, snapshot, loaded, request, decision };
            if (fields.length === 0) return context;
            return gatekeeper.requireFields({ snapshot, request }, fields).then(() => context);
          }),
        );
      });
    },
  };
}
