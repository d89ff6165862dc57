/** An account as the caller may read it. */
import type { PresentedUser } from '../accounts/account.ts';
import { accountAttributes } from '../decision/principals.ts';
import type { GuardedCall } from '../enforcement/access.ts';
import { ACCOUNT_TYPE } from '../policy/built-in.ts';
import type { Services } from '../services.ts';

/** Leaves out fields, and attributes beside them, that may not be read. */
export async function presentReadable(
  { decisions, gatekeeper }: Services,
  { req, context: { snapshot } }: Pick<GuardedCall, 'req' | 'context'>,
  user: PresentedUser,
): Promise<Partial<PresentedUser>> {
  const request = gatekeeper.accessRequest(
    req,
    snapshot,
    { action: 'read', resource: ACCOUNT_TYPE },
    accountAttributes(user),
  );
  const permitted = await decisions.permittedFields(snapshot, request, [
    ...Object.keys(user),
    ...Object.keys(user.attributes),
  ]);
  const readable = (fields: object) =>
    Object.fromEntries(Object.entries(fields).filter(([field]) => permitted.has(field)));
  const attributes = readable(user.attributes);
  const { attributes: _all, ...columns } = user;
  return {
    ...readable(columns),
    ...((permitted.has('attributes') || Object.keys(attributes).length > 0) && { attributes }),
  };
}
