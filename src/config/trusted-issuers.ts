/** The setting TRUSTED_ISSUERS: whose tokens are believed, as JSON or a file of it, checked. */
import { readFileSync } from 'node:fs';
import Joi from 'joi';

/** Somebody else who says who is calling: an OAuth 2.0 authorization server or OpenID provider. */
export interface TrustedIssuer {
  /** Exactly as tokens have it in `iss`. */
  issuer: string;
  /** A token must be meant for one of these (`aud`). */
  audience: readonly string[];
  algorithms: readonly string[];
  /** Where its keys are; undefined: where its metadata say. */
  jwksUri?: string;
  /** Media types that a token may have, in lower case and without `application/`; null: it has none. */
  typ: readonly (string | null)[];
  /** The resource type of the policy that its subjects are of, and no other issuer's. */
  principalType: string;
  clockSkewSeconds: number;
  /** Undefined: as old as `exp` lets it be. */
  maxAgeSeconds?: number;
}

/** Signatures that nobody can make with what is published; never `none`, never one with a shared secret. */
const signatures = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];

const url = Joi.string()
  .uri({ scheme: ['https', 'http'] })
  .max(500)
  .custom((text: string) => {
    if (!isSafeUrl(text))
      throw new Error('must be https (http for this machine alone), without user or fragment');
    return text;
  });

const words = (word: Joi.Schema) => Joi.array().items(word).min(1).max(20).unique().single();

const issuerSchema = Joi.object<TrustedIssuer>({
  issuer: url
    .custom((text: string) => {
      if (text.includes('?')) throw new Error('must have no query');
      return text;
    })
    .required(),
  audience: words(Joi.string().max(500)).required(),
  algorithms: words(Joi.string().valid(...signatures)).default(['RS256', 'PS256', 'ES256', 'EdDSA']),
  jwksUri: url,
  typ: words(
    Joi.string()
      .max(100)
      .lowercase()
      .replace(/^application\//, '')
      .allow(null),
  ).default(['at+jwt', 'jwt', null]),
  principalType: Joi.string()
    .pattern(/^[a-z][a-z0-9.-]{0,62}$/)
    .pattern(/^(user|api-key|anonymous|all|castellan\..*)$/, { invert: true })
    .messages({
      'string.pattern.base': 'must be the name of a resource type',
      'string.pattern.invert.base':
        'must be a resource type of its own, not one that the gateway itself gives',
    })
    .default('external'),
  clockSkewSeconds: Joi.number().integer().min(0).max(120).default(30),
  maxAgeSeconds: Joi.number().integer().min(1),
});

/** One subject of two issuers would be one principal, so that either could speak for those of the other. */
const issuersSchema = Joi.array<TrustedIssuer[]>()
  .items(issuerSchema)
  .max(50)
  .unique('issuer')
  .unique('principalType')
  .messages({ 'array.unique': 'has the {#path} of another issuer; each has its own' });

/** The setting as joi checks it: the list itself, or the path of a file that has it. */
export const trustedIssuersSetting = Joi.string()
  .custom((text: string): TrustedIssuer[] => readIssuers(text))
  .messages({ 'any.custom': '{{#error.message}}' });

/** Throws an Error that says which part of which issuer is not usable, and what would be right. */
function readIssuers(text: string): TrustedIssuer[] {
  const { error, value } = issuersSchema.validate(parseJson(/^\s*[[{]/.test(text) ? text : readFile(text)), {
    errors: { label: false },
    convert: true,
  });
  if (!error) return value;
  const [detail] = error.details;
  const cause = detail?.context?.['error'];
  throw new Error(`/${detail?.path.join('/')}: ${cause instanceof Error ? cause.message : detail?.message}`);
}

function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw new Error('is neither a list in JSON nor a file that can be read');
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('is not JSON');
  }
}

/** Whether what comes from there can be believed: over TLS, or from this machine. */
export function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password, hash } = new URL(text);
  if (username || password || hash || text.includes('#')) return false;
  if (protocol === 'https:') return true;
  return protocol === 'http:' && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
}
