/** The press: the demo's service behind the gateway, in a process of its own. It believes the signed assertion and nothing else. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createRemoteJWKSet, jwtVerify } from 'jose';

const [port, gateway] = process.argv.slice(2);
const audience = `http://127.0.0.1:${port}`;
const keys = createRemoteJWKSet(new URL('/.well-known/jwks.json', gateway));

const server = createServer((req, res) => {
  answer(req, res).catch(() => say(res, 401, { error: 'this service is reached through the gateway alone' }));
});
server.on('error', ({ message, code }: NodeJS.ErrnoException) => {
  // Another node of the same policy has started it.
  if (code !== 'EADDRINUSE')
    process.stderr.write(`castellan: the demo's service does not start: ${message}\n`);
  process.exit(1);
});
server.listen(Number(port), '127.0.0.1', () => process.send?.('listening'));
process.on('disconnect', () => process.exit(0));

async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  if (req.url === '/press') return say(res, 200, { service: 'press', proofs: '/press/proofs/{documentId}' });
  const { payload } = await jwtVerify(String(req.headers['castellan-assertion']), keys, {
    audience,
    algorithms: ['EdDSA'],
    typ: 'castellan-assertion+jwt',
  });
  say(res, 200, {
    proof: req.url,
    madeFor: payload.sub,
    roles: payload['roles'],
    revision: payload['revision'],
  });
}

function say(res: ServerResponse, status: number, body: object): void {
  res.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}
