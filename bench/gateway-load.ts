/** Ten minutes (or as many as are given) of requests through the gateway while the policy is published again and again: none may be lost. */
import autocannon from 'autocannon';
import { dropDatabases } from '../test/harness.ts';
import { keepPublishing, startBehind } from './behind.ts';
import { figure, printHeader } from './report.ts';

const minutes = Number(process.argv[2] ?? 10);
if (!(minutes > 0)) throw new Error('the argument is how many minutes it takes');
const PUBLISHED_PER_SECOND = 5;

printHeader(`gateway under load for ${minutes} min, ${PUBLISHED_PER_SECOND} rules/s published meanwhile`);
const behind = await startBehind();
const endPublishing = keepPublishing(behind, PUBLISHED_PER_SECOND);
const { requests, non2xx, errors, timeouts, latency } = await autocannon({
  url: behind.gateway.url,
  duration: minutes * 60,
  connections: 16,
  requests: [
    { method: 'GET', path: '/parcels/1' },
    { method: 'POST', path: '/parcels/2', body: 'x'.repeat(4096) },
  ],
  headers: { authorization: `Bearer ${behind.token}` },
});
const published = await endPublishing();
console.log(
  `${requests.total} requests (${figure(requests.average)}/s), ${published} revisions, p99 ${figure(latency.p99)} ms; ` +
    `not answered 2xx: ${non2xx}, lost: ${errors}, of them timed out: ${timeouts}`,
);
await behind.stop();
await dropDatabases();
process.exit(non2xx + errors > 0 ? 1 : 0);
