/** Somebody from elsewhere as principal: named by the token, what is stored of them here, and what the policy believes of the claims. */
import { principalOf } from '../../decision/access-request.ts';
import type { KnownEntity } from '../../decision/entities.ts';
import type { Principal } from '../../policy/ability.ts';
import { principalFacts } from '../../policy/built-in.ts';
import { rolesByClaims } from '../../policy/identity.ts';
import type { Snapshot } from '../../policy/snapshot.ts';
import type { VerifiedToken } from './verify-token.ts';

/** Names that are the gateway's to give: no claim is one of them, whatever the type declares. */
const reserved = new Set(Object.keys(principalFacts));

/**
 * The principal of a token under a snapshot. Claims count where the type believes the issuer: those that it declares as
 * attributes, and those that it gives roles for; no claim names a role itself. What is stored of the entity of that name
 * wins over claims: it was written here, by somebody who may.
 */
export function tokenPrincipal(
  { issuer, subject: id, claims }: VerifiedToken,
  entity: KnownEntity | undefined,
  snapshot: Snapshot,
): Principal {
  const type = snapshot.types.get(issuer.principalType);
  const believed = type?.identity?.issuer === issuer.issuer ? type.identity : undefined;
  const told = believed ? Object.entries(claims).filter(([name]) => !reserved.has(name)) : [];
  const mapped = believed ? rolesByClaims(claims, believed.roles) : [];
  return principalOf(
    {
      type: issuer.principalType,
      id,
      roles: [...new Set([...(entity?.roles ?? []), ...mapped])],
      // Of a type that is not there any more nothing is declared.
      attributes: type ? { ...Object.fromEntries(told), ...entity?.own.attributes, id } : {},
      ...(entity && { ancestors: entity.ancestors }),
      accessVersion: entity?.own.version ?? 0,
    },
    type,
  );
}
