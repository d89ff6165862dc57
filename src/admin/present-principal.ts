/** An account as one principal among others, as far as the caller may know it. */
import { type AccountFacts, accountAttributes } from '../decision/principals.ts';
import type { GuardedCall } from '../enforcement/access.ts';
import { ACCOUNT_TYPE } from '../policy/built-in.ts';
import type { Services } from '../services.ts';

/** Who it is; undefined where the caller may not read it. */
export async function presentPrincipal(
  { decisions, gatekeeper }: Services,
  { req, context: { snapshot } }: GuardedCall<unknown, unknown>,
  account: AccountFacts,
) {
  const question = { action: 'read', resource: ACCOUNT_TYPE };
  const request = gatekeeper.accessRequest(req, snapshot, question, accountAttributes(account));
  const permitted = await decisions.permittedFields(snapshot, request, ['id', 'email', 'roles']);
  if (!permitted.has('id')) return undefined;
  const { id, email, roles } = account;
  return {
    type: ACCOUNT_TYPE,
    id,
    ...(permitted.has('email') && { email }),
    ...(permitted.has('roles') && { roles }),
  };
}
