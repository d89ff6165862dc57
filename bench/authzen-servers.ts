/** The servers of bench/authzen.ts, one in each process: `bare`, `castellan`, or `cerbos`, which is a child of it. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startCerbos } from '../test/cerbos-server.ts';
import { dropDatabases, logIn, startGateway } from '../test/harness.ts';

/** What is told once it listens. */
export interface DecisionPoints {
  url: string;
  headers: Record<string, string>;
}

/** Employees change open deals of their own department, up to what their level allows. */
const policy = {
  version: 1,
  resourceTypes: [
    {
      type: 'employee',
      actions: ['read'],
      attributes: { department: { type: 'string' }, approvalLimit: { type: 'number' } },
    },
    {
      type: 'deal',
      actions: ['read', 'update', 'delete'],
      attributes: { department: { type: 'string' }, stage: { type: 'string' }, amount: { type: 'number' } },
    },
  ],
  rules: [
    {
      id: 'employees-change-deals',
      role: 'authenticated',
      action: ['read', 'update'],
      subject: 'deal',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a template of a rule
      conditions: { department: '${principal.department}', stage: 'open', amount: { $lte: 1000 } },
      when: { 'principal.approvalLimit': { $gte: 1000 } },
    },
    { id: 'none-deletes', role: 'authenticated', action: 'delete', subject: 'deal', inverted: true },
  ],
};

interface Running {
  stop(): Promise<void>;
  /** Of the process that answers. */
  usage(): { cpuUs: number; rssMb: number };
}

const serve = { bare: serveBare, castellan: serveCastellan, cerbos: serveCerbos }[process.argv[2] ?? ''];
if (!serve) throw new Error(`there is no server ${process.argv[2]}`);
const { stop, usage } = await serve();
process.on('message', async (message) => {
  if (message === 'usage') process.send?.(usage());
  if (message === 'stop') {
    await stop();
    process.exit(0);
  }
});
process.on('disconnect', () => void stop().finally(() => process.exit(1)));

/** Parses the question and answers the same every time: what no server in Node can be faster than by much. */
async function serveBare(): Promise<Running> {
  const decision = JSON.stringify({ decision: true, context: { ruleId: 'constant', revision: 1 } });
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      JSON.parse(Buffer.concat(chunks).toString('utf8'));
      res.setHeader('Content-Type', 'application/json');
      res.end(decision);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  tell({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, headers: {} });
  return {
    usage: ownUsage,
    stop: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function serveCastellan(): Promise<Running> {
  const gateway = await startGateway({ logLevel: 'silent' });
  const { token = '' } = await logIn(gateway, 'superadmin');
  const headers = { authorization: `Bearer ${token}` };
  const imported = await fetch(`${gateway.url}/api/v1/admin/policy/import`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(policy),
  });
  if (!imported.ok) throw new Error(`the policy was not taken: ${await imported.text()}`);
  tell({ url: `${gateway.url}/access/v1/evaluation`, headers });
  return {
    usage: ownUsage,
    stop: async () => {
      await gateway.close();
      await dropDatabases();
    },
  };
}

async function serveCerbos(): Promise<Running> {
  const cerbos = await startCerbos('test/cerbos');
  if (!cerbos) throw new Error('there is no Cerbos for this machine');
  tell({ url: `${cerbos.url}/access/v1/evaluation`, headers: {} });
  return { usage: () => usageOf(cerbos.pid), stop: cerbos.stop };
}

function ownUsage(): { cpuUs: number; rssMb: number } {
  const { user, system } = process.cpuUsage();
  return { cpuUs: user + system, rssMb: process.memoryUsage().rss / 1024 ** 2 };
}

/** As Linux tells it: proc(5), `utime` and `stime` in hundredths of a second, and VmRSS in KiB. */
function usageOf(pid: number | undefined): { cpuUs: number; rssMb: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  const [, rssKb] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return { cpuUs: (Number(fields[11]) + Number(fields[12])) * 10_000, rssMb: Number(rssKb) / 1024 };
}

function tell(points: DecisionPoints): void {
  process.send?.(points);
}
