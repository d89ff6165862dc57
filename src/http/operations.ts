/** What operators and their machines ask: alive, ready, and how it goes. */
import { type Request, type RequestHandler, Router } from 'express';
import { refuseOtherMethods } from './endpoint.ts';
import type { Metrics } from './metrics.ts';
import { whenOver } from './when-over.ts';

/** A check that hangs is one that fails: whoever asks gives up soon. */
const CHECK_TIMEOUT_MS = 3000;

interface CheckResult {
  ok: boolean;
  detail?: string;
}

/** One thing that must work; `detail` says what is wrong, or what is degraded while it works all the same. */
export interface Check {
  name: string;
  check(): Promise<CheckResult> | CheckResult;
}

export interface OperationsOptions {
  metrics: Metrics;
  checks: readonly Check[];
  /** Brings gauges up to date before they are read. */
  refreshGauges(): void;
}

/** `/livez`: the process answers. `/readyz`: it can do its work, and what is wrong if not. `/metrics`: Prometheus text. */
export function operationsRouter({ metrics, checks, refreshGauges }: OperationsOptions): Router {
  const router = Router();
  router.get('/livez', (_req, res) => void res.set('Cache-Control', 'no-store').json({ status: 'ok' }));
  router.get('/readyz', async (req, res) => {
    const results = await Promise.all(checks.map((check) => runCheck(check, req)));
    const ready = results.every(({ ok }) => ok);
    res.set('Cache-Control', 'no-store').status(ready ? 200 : 503);
    res.json({
      status: ready ? 'ok' : 'unavailable',
      checks: Object.fromEntries(results.map(({ name, ...result }) => [name, result])),
    });
  });
  router.get('/metrics', async (_req, res) => {
    refreshGauges();
    res.set('Cache-Control', 'no-store').type(metrics.registry.contentType);
    res.send(await metrics.registry.metrics());
  });
  for (const path of ['/livez', '/readyz', '/metrics']) refuseOtherMethods(router, path, ['GET']);
  return router;
}

/** What a check says itself is for everybody; what it throws may hold SQL or addresses, and is logged. */
async function runCheck({ name, check }: Check, req: Request): Promise<{ name: string } & CheckResult> {
  try {
    return { name, ...(await within(CHECK_TIMEOUT_MS, check())) };
  } catch (cause) {
    req.log?.warn({ err: cause, check: name }, 'a check failed');
    return { name, ok: false, detail: `failed: ${kindOf(cause)}` };
  }
}

async function within(timeoutMs: number, result: CheckResult | Promise<CheckResult>): Promise<CheckResult> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<CheckResult>((resolve) => {
    timer = setTimeout(() => resolve({ ok: false, detail: `no answer within ${timeoutMs} ms` }), timeoutMs);
  });
  return Promise.race([result, late]).finally(() => clearTimeout(timer));
}

/** A code like ECONNREFUSED where there is one. */
function kindOf(cause: unknown): string {
  if (!(cause instanceof Error)) return 'unknown';
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.name;
}

/** Times every request, also one whose client goes away, or whose answer breaks off: `aborted`. */
export function timeRequests(metrics: Metrics): RequestHandler {
  return (req, res, next) => {
    const startedMs = performance.now();
    const { method } = req;
    whenOver(req, res, () => {
      const status = res.writableFinished ? String(res.statusCode) : 'aborted';
      metrics.requestSeconds.observe({ method, status }, (performance.now() - startedMs) / 1000);
    });
    next();
  };
}
