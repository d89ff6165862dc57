/** `/.well-known/jwks.json`: what verifies what the gateway signs. */
import Joi from 'joi';
import type { Endpoint } from '../http/endpoint.ts';
import type { LiveKeys } from './live-keys.ts';
import { KEPT_SECONDS } from './rotate.ts';

const TYPE = 'application/jwk-set+json';

const shape = Joi.object({
  keys: Joi.array().items(
    Joi.object({
      kty: Joi.string().valid('OKP'),
      crv: Joi.string().valid('Ed25519'),
      x: Joi.string(),
      kid: Joi.string(),
      alg: Joi.string().valid('EdDSA'),
      use: Joi.string().valid('sig'),
    }),
  ),
});

/** Answered from memory. */
export function signingEndpoints({ signingKeys }: { signingKeys: LiveKeys }): Endpoint<'public', unknown>[] {
  return [
    {
      method: 'get',
      path: '/.well-known/jwks.json',
      summary: 'The public keys of what the gateway signs (RFC 7517)',
      access: 'public',
      reply: { status: 200, description: 'The keys', type: TYPE, shape },
      handle: () => ({
        status: 200,
        text: { type: TYPE, content: JSON.stringify({ keys: signingKeys.published() }) },
        headers: { 'Cache-Control': `public, max-age=${KEPT_SECONDS}` },
      }),
    },
  ];
}
