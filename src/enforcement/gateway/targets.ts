/** Which server of an upstream is asked: each in turn, those that fail passed over until they answer again. */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { AppError } from '../../errors.ts';
import { type CompiledUpstream, compileUpstream } from '../../policy/routes/compile-route.ts';
import type { Route } from '../../policy/routes/route.ts';
import type { Snapshot } from '../../policy/snapshot.ts';
import { type Authorities, type GuardedAgents, guardedAgents } from './guarded-agents.ts';
import type { Reach } from './reach.ts';

/** One that could not be reached is tried again after this, whatever a health check found before. */
const PASSED_OVER_MS = 2000;

interface Check {
  path: string;
  intervalMs: number;
  timeoutMs: number;
}

interface Watched {
  timer: NodeJS.Timeout;
  isUp: boolean;
}

export interface Targets {
  /** Those to be tried, the best first; empty: none is up. Throws `bad_gateway` where none of them may be reached. */
  inTurn(upstream: CompiledUpstream): URL[];
  /** A target could not be reached. */
  failed(target: URL): void;
  /** Checks the targets of this snapshot's routes, and no others any more. */
  watch(snapshot: Snapshot): void;
  close(): void;
}

/** `onTurn`: told when a target goes down or comes up. */
export function makeTargets(
  reach: Reach,
  ca: Authorities,
  onTurn: (origin: string, isUp: boolean) => void,
): Targets {
  const agents = guardedAgents(reach, { ca });
  const watched = new Map<string, Watched>();
  const failedAtMs = new Map<string, number>();
  let turn = 0;
  const reachableOf = reachableBy(reach);
  const begin = (key: string, target: URL, check: Check) => {
    const state: Watched = { isUp: true, timer: setTimeout(() => {}, 0) };
    const look = async () => {
      const isUp = await answers(target, check, agents);
      if (watched.get(key) !== state) return;
      if (isUp !== state.isUp) onTurn(target.origin, isUp);
      state.isUp = isUp;
      state.timer = setTimeout(look, check.intervalMs).unref();
    };
    watched.set(key, state);
    void look();
  };
  const isUp = (target: URL, check: Check | undefined) =>
    !check || (watched.get(keyOf(target, check))?.isUp ?? true);
  const isReached = ({ origin }: URL) => Date.now() - (failedAtMs.get(origin) ?? 0) >= PASSED_OVER_MS;
  return {
    inTurn: (upstream) => {
      const { healthCheck } = upstream;
      const targets = reachableOf(upstream);
      const first = turn++ % targets.length;
      const turned = [...targets.slice(first), ...targets.slice(0, first)];
      const up = turned.filter((target) => isUp(target, healthCheck));
      const reached = up.filter(isReached);
      // Better to try than to refuse.
      return reached.length > 0 ? reached : up;
    },
    failed: (target) => {
      if (failedAtMs.size > 1000) failedAtMs.clear();
      failedAtMs.set(target.origin, Date.now());
    },
    watch: ({ policy }) => {
      const wanted = new Map(checksIn(policy.routes, reach));
      for (const [key, { timer }] of watched)
        if (!wanted.has(key)) {
          clearTimeout(timer);
          watched.delete(key);
        }
      for (const [key, { target, check }] of wanted) if (!watched.has(key)) begin(key, target, check);
    },
    close: () => {
      for (const { timer } of watched.values()) clearTimeout(timer);
      watched.clear();
      agents.close();
    },
  };
}

/**
 * The targets that may be reached, looked at once for each upstream. A route that was written under another setting stays
 * in the policy, and nothing is sent to where it leads.
 */
function reachableBy(reach: Reach): (upstream: CompiledUpstream) => readonly URL[] {
  const known = new WeakMap<CompiledUpstream, { open: readonly URL[]; refusals: string }>();
  const look = ({ targets }: CompiledUpstream) => {
    const refusals = targets.map((target) => reach.refusalOf(target));
    return { open: targets.filter((_, at) => refusals[at] === undefined), refusals: refusals.join('; ') };
  };
  return (upstream) => {
    const found = known.get(upstream) ?? look(upstream);
    known.set(upstream, found);
    if (found.open.length === 0) throw new AppError('bad_gateway', { detail: found.refusals });
    return found.open;
  };
}

function checksIn(routes: readonly Route[], reach: Reach): [string, { target: URL; check: Check }][] {
  return routes.flatMap(({ upstream }) => {
    const { targets = [], healthCheck: check } = compileUpstream(upstream) ?? {};
    return check
      ? targets
          .filter((target) => reach.refusalOf(target) === undefined)
          .map((target): [string, { target: URL; check: Check }] => [keyOf(target, check), { target, check }])
      : [];
  });
}

function keyOf(target: URL, { path, intervalMs, timeoutMs }: Check): string {
  return `${target.origin} ${path} ${intervalMs} ${timeoutMs}`;
}

function answers(target: URL, { path, timeoutMs }: Check, agents: GuardedAgents): Promise<boolean> {
  return new Promise((resolve) => {
    const request = target.protocol === 'https:' ? httpsRequest : httpRequest;
    // Not resolved against it: `//host/path` would be another server.
    const asked = request(target, { path, agent: agents.of(target), signal: AbortSignal.timeout(timeoutMs) });
    asked.on('response', (response) => {
      response.resume();
      const { statusCode = 500 } = response;
      resolve(statusCode >= 200 && statusCode < 400);
    });
    asked.on('error', () => resolve(false));
    asked.on('close', () => resolve(false));
    asked.end();
  });
}
