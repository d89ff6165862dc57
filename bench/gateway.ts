/** A proxied GET beside nginx and a bare proxy in Node; forward-auth behind nginx; and a proxied GET while the policy changes. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import autocannon from 'autocannon';
import { dropDatabases } from '../test/harness.ts';
import { freePort } from '../test/redis-server.ts';
import { keepPublishing, startBehind, startServer } from './behind.ts';
import { send } from './node.ts';
import { figure, median, printHeader, printTable, ratio } from './report.ts';

const ROUNDS = 5;
const ROUND_SECONDS = 2;
const CONNECTIONS = 32;
const PUBLISHING_SECONDS = 10;

interface Asked {
  url: string;
  token?: string;
}

printHeader(`gateway: a GET through it to a service, over loopback, ${CONNECTIONS} kept connections`);
const behind = await startBehind({ TRUSTED_PROXIES: '127.0.0.1' });
const bare = await startServer('bare', behind.upstream);
const nginx = await startNginx(behind.upstream, behind.gateway.url);
const { token } = behind;
const asked: Record<string, Asked> = {
  'the service itself': { url: `${behind.upstream}/open` },
  ...(nginx && { 'nginx proxy_pass': { url: `${nginx.url}/plain/open` } }),
  'bare proxy in Node': { url: `${bare.url}/open` },
  'castellan, public route': { url: `${behind.gateway.url}/open` },
  'castellan, decided': { url: `${behind.gateway.url}/parcels/1`, token },
  ...(nginx && { 'nginx auth_request, castellan decides': { url: `${nginx.url}/parcels/1`, token } }),
};
const rounds = new Map<string, { perSecond: number; p50: number; p99: number }[]>();
for (let round = 0; round <= ROUNDS; round++)
  for (const [name, one] of Object.entries(asked)) {
    const seen = await load(one, round === 0 ? 1 : ROUND_SECONDS);
    if (round > 0) rounds.set(name, [...(rounds.get(name) ?? []), seen]);
  }
const bareRates = rounds.get('bare proxy in Node')?.map(({ perSecond }) => perSecond) ?? [];
printTable(
  ['through', 'requests/s', '/ bare proxy', 'p50 ms', 'p99 ms'],
  [...rounds].map(([name, seen]) => {
    const rates = seen.map(({ perSecond }) => perSecond);
    const middle = (key: 'p50' | 'p99') => figure(median(seen.map((one) => one[key])));
    return [name, figure(median(rates)), figure(ratio(rates, bareRates)), middle('p50'), middle('p99')];
  }),
);
const decided = { url: `${behind.gateway.url}/parcels/1`, token };
const quiet = await load(decided, PUBLISHING_SECONDS, 4);
const endPublishing = keepPublishing(behind, 100);
const changing = await load(decided, PUBLISHING_SECONDS, 4);
const published = await endPublishing();
printTable(
  ['castellan, decided, 4 connections', 'requests/s', 'p50 ms', 'p99 ms'],
  [
    ['nothing published', figure(quiet.perSecond), figure(quiet.p50), figure(quiet.p99)],
    [
      `${figure(published / PUBLISHING_SECONDS)} rules/s published (100 asked for)`,
      figure(changing.perSecond),
      figure(changing.p50),
      figure(changing.p99),
    ],
  ],
);
if (!nginx) console.log('No nginx is installed here, so it is not measured.');
await nginx?.stop();
bare.process.disconnect();
await behind.stop();
await dropDatabases();
process.exit(0);

async function load(
  { url, token: bearer }: Asked,
  duration: number,
  connections = CONNECTIONS,
): Promise<{ perSecond: number; p50: number; p99: number }> {
  await send(url, { ...(bearer !== undefined && { token: bearer }), expect: 200 });
  const headers = bearer === undefined ? {} : { authorization: `Bearer ${bearer}` };
  const { requests, latency, non2xx, errors } = await autocannon({ url, duration, connections, headers });
  if (non2xx + errors > 0) throw new Error(`${non2xx + errors} requests of ${url} were not answered 2xx`);
  return { perSecond: requests.average, p50: latency.p50, p99: latency.p99 };
}

/** `/plain/` passes to the service; all else asks the gateway first. Undefined where no nginx is installed. */
async function startNginx(upstream: string, gateway: string) {
  const dir = await mkdtemp(join(tmpdir(), 'castellan-bench-nginx-'));
  const port = await freePort();
  const config = `daemon off; pid ${dir}/pid; error_log stderr crit; worker_processes 1;
events {}
http {
  access_log off; keepalive_requests 1000000; client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy;
  fastcgi_temp_path ${dir}/f; uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s;
  upstream service { server ${new URL(upstream).host}; keepalive 64; keepalive_requests 1000000; }
  upstream castellan { server ${new URL(gateway).host}; keepalive 64; keepalive_requests 1000000; }
  server {
    listen 127.0.0.1:${port};
    proxy_http_version 1.1; proxy_set_header Connection "";
    location /plain/ { proxy_pass http://service/; }
    location / {
      auth_request /auth;
      auth_request_set $assertion $upstream_http_castellan_assertion;
      proxy_set_header Castellan-Assertion $assertion;
      proxy_pass http://service;
    }
    location = /auth {
      internal;
      proxy_pass http://castellan/forward-auth/nginx;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_set_header X-Original-URL $scheme://$http_host$request_uri;
      proxy_set_header X-Original-Method $request_method;
    }
  }
}`;
  await writeFile(join(dir, 'nginx.conf'), config);
  const server = spawn('nginx', ['-c', join(dir, 'nginx.conf'), '-p', dir], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const failed = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(true));
    setTimeout(() => resolve(false), 500);
  });
  if (failed) return undefined;
  return {
    url: `http://127.0.0.1:${port}`,
    stop: async () => {
      server.kill('SIGTERM');
      await rm(dir, { recursive: true });
    },
  };
}
