/** The metadata of the decision point (section 9): where its endpoints are. */
import type { Request } from 'express';
import Joi from 'joi';
import { endpoint, type GuardedEndpoint } from '../enforcement/access.ts';
import { publicUrlOf } from '../http/public-url.ts';
import type { Services } from '../services.ts';
import { METADATA_PATH, metadataParameters } from './paths.ts';
import { metadataSigner } from './signed-metadata.ts';

const KEPT_SECONDS = 300;

const shape = Joi.object({
  policy_decision_point: Joi.string().uri(),
  ...Object.fromEntries(Object.keys(metadataParameters).map((name) => [name, Joi.string().uri()])),
  signed_metadata: Joi.string(),
});

/**
 * With a path in PUBLIC_URL, also at the address that the specification makes of it, for a proxy that passes it on; the
 * short one is for a proxy that takes the path away.
 */
export function metadataEndpoints({ config, signer }: Services): GuardedEndpoint[] {
  const { pathname } = new URL(publicUrlOf(config, config.port));
  const places = pathname === '/' ? [METADATA_PATH] : [METADATA_PATH, METADATA_PATH + literal(pathname)];
  // Only what was set as the gateway's address is signed.
  const signed = config.publicUrl ? metadataSigner(signer) : async () => ({});
  return places.map((path) =>
    endpoint({
      method: 'get',
      path,
      summary: 'AuthZEN: where the endpoints of this decision point are',
      access: 'public',
      reply: { status: 200, description: 'The metadata', shape },
      handle: async ({ req }) => {
        const metadata = metadataAt(publicUrlOf(config, listeningPort(req) ?? config.port));
        return {
          status: 200,
          body: { ...metadata, ...(await signed(metadata)) },
          headers: { 'Cache-Control': `public, max-age=${KEPT_SECONDS}` },
        };
      },
    }),
  );
}

function metadataAt(url: string): Record<string, string> {
  const endpoints = Object.entries(metadataParameters).map(([name, path]) => [name, url + path]);
  return { policy_decision_point: url, ...Object.fromEntries(endpoints) };
}

/** PORT may be 0; the socket knows, and nothing that is sent over it changes what it says. */
function listeningPort({ socket }: Request): number | undefined {
  return socket.localPort;
}

/** A path in which no character means something to Express. */
function literal(path: string): string {
  return path.replace(/[{}()[\]+?!:*\\]/g, '\\$&');
}
