/** An issuer for tests that signs whatever it is told to. */
import { generateKeyPairSync, type KeyObject, sign as signBytes } from 'node:crypto';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, type JWK, type JWTPayload, SignJWT } from 'jose';

export const audience = 'https://castellan.example';

export interface Served {
  url: string;
  /** Paths that were asked for, in their order. */
  asked: string[];
  close(): Promise<void>;
}

/** Something that answers on a free port of this machine. */
export async function serve(listener: RequestListener): Promise<Served> {
  const asked: string[] = [];
  const server: Server = createServer((req, res) => {
    asked.push(String(req.url));
    listener(req, res);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: async () => {
      const closed = new Promise((done) => server.close(done));
      server.closeAllConnections();
      await closed;
    },
  };
}

export interface Signed {
  claims?: JWTPayload;
  header?: Record<string, unknown>;
  key?: KeyObject | Uint8Array;
}

export interface Signer extends Served {
  privateKey: KeyObject;
  publicKey: KeyObject;
  jwk: JWK;
  /** A token that is good, but for what is said; a claim that is undefined is left out. */
  sign(parts?: Signed): Promise<string>;
}

/** An issuer with one RSA key. `answer` may answer in its place. */
export async function startSigner(answer?: RequestListener): Promise<Signer> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = { ...(await exportJWK(publicKey)), kid: 'one', use: 'sig', alg: 'RS256' };
  const served = await serve((req, res) => {
    if (answer) return answer(req, res);
    const known: Record<string, unknown> = {
      '/.well-known/openid-configuration': { issuer: served.url, jwks_uri: `${served.url}/keys` },
      '/keys': { keys: [jwk] },
    };
    const found = known[String(req.url)];
    res.writeHead(found ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(found));
  });
  const sign = ({ claims, header, key = privateKey }: Signed = {}) => {
    const nowSeconds = Math.floor(Date.now() / 1000);
    const told = { sub: 'someone', iat: nowSeconds, exp: nowSeconds + 300, aud: audience, iss: served.url };
    const payload = Object.entries({ ...told, ...claims }).filter(([, value]) => value !== undefined);
    return new SignJWT(Object.fromEntries(payload))
      .setProtectedHeader({ alg: 'RS256', kid: 'one', typ: 'at+jwt', ...header })
      .sign(key);
  };
  return { ...served, privateKey, publicKey, jwk, sign };
}

/** A token with exactly this header, signed by RS256, such as no library would make. */
export function signRaw(header: object, payload: object, key: KeyObject): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const text = `${encode(header)}.${encode(payload)}`;
  return `${text}.${signBytes('sha256', Buffer.from(text), key).toString('base64url')}`;
}
