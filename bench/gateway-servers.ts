/** The servers of bench/gateway.ts beside the gateway, one in each process: the `upstream`, and a `bare` proxy to the URL that is given. */
import { Agent, createServer, type RequestListener, request } from 'node:http';
import type { AddressInfo } from 'node:net';

const [what, target = ''] = process.argv.slice(2);
const answer = JSON.stringify({ hello: 'from behind' });
const agent = new Agent({ keepAlive: true });

const upstream: RequestListener = (_req, res) => {
  res.setHeader('Content-Type', 'application/json');
  res.end(answer);
};

/** What no proxy in Node can be faster than by much. */
const bare: RequestListener = (req, res) => {
  const asked = request(
    `${target}${req.url}`,
    { agent, method: req.method ?? 'GET', headers: req.headers },
    (got) => {
      res.writeHead(got.statusCode ?? 502, got.headers);
      got.pipe(res);
    },
  );
  asked.on('error', () => res.destroy());
  req.pipe(asked);
};

const server = createServer(what === 'bare' ? bare : upstream).listen(0, '127.0.0.1', () => {
  process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
// A connection that rests while others are measured must not be closed as it is used again.
server.keepAliveTimeout = 300_000;
process.on('disconnect', () => process.exit(0));
