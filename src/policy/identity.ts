/** What the policy says of principals from elsewhere: whom it believes, which claims give which roles, and what is wrong with it. */
import Joi from 'joi';
import type { Problem } from '../errors.ts';
import { ACCOUNT_TYPE, API_KEY_TYPE } from './built-in.ts';
import type { ResourceType, Role, RoleByClaim } from './policy.ts';
import { unknownName } from './suggest.ts';

const claim = Joi.object<RoleByClaim>({
  claim: Joi.string()
    .pattern(/^[A-Za-z_][A-Za-z0-9_.:/-]{0,199}$/, 'name of a claim')
    .required()
    .description('its name, or the way to it, such as realm_access.roles'),
  value: Joi.string().max(500).required().description('what the claim is, or has in its list'),
  role: Joi.string()
    .pattern(/^[a-z][a-z0-9-]{0,62}$/, 'slug')
    .required()
    .description('the role that it gives'),
});

export const identitySchema = Joi.object({
  issuer: Joi.string()
    .uri({ scheme: ['https', 'http'] })
    .max(500)
    .required()
    .description('whose tokens are believed, as they have it in iss'),
  roles: Joi.array().items(claim).unique().max(200).default([]).description('roles by what claims say'),
});

/** Everything that is wrong with what a type says of its principals; pointers begin with `base`. */
export function checkIdentity(
  { type, source, identity }: ResourceType,
  roles: readonly Role[],
  base: string,
): Problem[] {
  if (!identity) return [];
  const pointer = `${base}/identity`;
  const isOurs = type === ACCOUNT_TYPE || type === API_KEY_TYPE || type === 'anonymous';
  if (isOurs || type.startsWith('castellan.') || source !== null)
    return [{ pointer, code: 'reserved', message: `nobody from elsewhere is a ${type}` }];
  const known = new Set(roles.map(({ key }) => key));
  return identity.roles.flatMap(({ role }, at) =>
    known.has(role) ? [] : [unknownName(`${pointer}/roles/${at}/role`, 'role', role, known)],
  );
}

/** The roles that these claims give: those whose claim is the value, or a list that has it. */
export function rolesByClaims(claims: object, mapping: readonly RoleByClaim[]): string[] {
  const given = mapping.filter(({ claim: name, value }) => {
    const found = claimNamed(claims, name);
    return found === value || (Array.isArray(found) && found.includes(value));
  });
  return [...new Set(given.map(({ role }) => role))];
}

/** A claim of that name, or else by the way to it: names may have dots themselves. */
function claimNamed(claims: object, name: string): unknown {
  const own = ownValue(claims, name);
  return own === undefined ? name.split('.').reduce(ownValue, claims) : own;
}

function ownValue(of: unknown, name: string): unknown {
  if (typeof of !== 'object' || of === null || Array.isArray(of)) return undefined;
  return Object.getOwnPropertyDescriptor(of, name)?.value;
}
