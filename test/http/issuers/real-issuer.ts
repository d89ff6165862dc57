/** A real issuer for tests: oidc-provider, in this process. */
import { generateKeyPairSync } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { exportJWK } from 'jose';
import { Provider } from 'oidc-provider';
import { audience, type Served, serve } from './issuer.ts';

export interface RealIssuer extends Served {
  /** A token of the client's own, as the server gives it for this resource. */
  grant(resource?: string): Promise<string>;
}

/** oidc-provider with one client, which is given access tokens as JWTs (RFC 9068) for any resource. */
export async function startRealIssuer(groups: readonly string[]): Promise<RealIssuer> {
  let answer: RequestListener = (_req, res) => void res.writeHead(503).end();
  const served = await serve((req, res) => answer(req, res));
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const client = { client_id: 'nightly-report', client_secret: 'a secret of the tests' };
  const provider = new Provider(served.url, {
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    clients: [{ ...client, grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }],
    jwks: { keys: [{ ...(await exportJWK(privateKey)), kid: 'ec', use: 'sig', alg: 'ES256' }] },
    ttl: { ClientCredentials: 300 },
    cookies: { keys: ['none is set'] },
    extraTokenClaims: () => ({ groups, department: 'editorial' }),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_ctx, resource) => ({
          scope: 'read',
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 300,
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  });
  answer = provider.callback();
  return {
    ...served,
    grant: async (resource = audience) => {
      const response = await fetch(`${served.url}/token`, {
        method: 'POST',
        headers: {
          authorization: `Basic ${btoa(`${client.client_id}:${encodeURIComponent(client.client_secret)}`)}`,
        },
        body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'read', resource }),
      });
      const body: unknown = await response.json();
      if (typeof body !== 'object' || body === null || !('access_token' in body))
        throw new Error(`no token: ${JSON.stringify(body)}`);
      return String(body.access_token);
    },
  };
}
