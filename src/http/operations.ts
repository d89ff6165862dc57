/** What operators and their machines ask: alive, ready, and how it goes. */
import { type RequestHandler, Router } from 'express';
import type { Metrics } from './metrics.ts';

/** One thing that must work; `detail` says what is wrong, or what is degraded while it works all the same. */
export interface Check {
  name: string;
  check(): Promise<{ ok: boolean; detail?: string }> | { ok: boolean; detail?: string };
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
  router.get('/readyz', async (_req, res) => {
    const results = await Promise.all(checks.map(runCheck));
    const ready = results.every(({ ok }) => ok);
    res.set('Cache-Control', 'no-store').status(ready ? 200 : 503);
    res.json({
      status: ready ? 'ok' : 'unavailable',
      checks: Object.fromEntries(results.map(({ name, ...result }) => [name, result])),
    });
  });
  router.get('/metrics', async (_req, res) => {
    refreshGauges();
    res.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });
  return router;
}

async function runCheck({ name, check }: Check): Promise<{ name: string; ok: boolean; detail?: string }> {
  try {
    return { name, ...(await check()) };
  } catch (cause) {
    return { name, ok: false, detail: cause instanceof Error ? cause.message : String(cause) };
  }
}

/** Times every request. */
export function timeRequests(metrics: Metrics): RequestHandler {
  return (req, res, next) => {
    const stop = metrics.requestSeconds.startTimer({ method: req.method });
    res.on('finish', () => stop({ status: String(res.statusCode) }));
    next();
  };
}
