/** Another AuthZEN decision point: questions of one turn go together, failures are tried again within one deadline, a breaker spares who is down. */
import { readFileSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Verdict } from '../../decision/evaluator.ts';
import { post, RemoteError } from './call.ts';
import { type BreakerState, CircuitBreaker, CircuitOpenError } from './circuit-breaker.ts';
import { answersOf, type Question, verdictOf } from './messages.ts';

export interface RemoteSettings {
  /** Where its paths begin; the only place that questions go to. */
  url: string;
  /** What is sent as `Authorization`. */
  authorization: string | undefined;
  /** For a question and all attempts at it. */
  timeoutMs: number;
  /** The property of the subject that says its roles. */
  rolesProperty: string;
  /** Files in PEM: whom to trust instead of the system's authorities, and who we are. */
  caFile: string | undefined;
  certFile: string | undefined;
  keyFile: string | undefined;
}

/** How a call went, for metrics: answered, failed, or not made because the circuit was open. */
export type CallOutcome = 'answered' | 'failed' | 'refused';

export interface RemotePoint {
  readonly settings: RemoteSettings;
  readonly state: BreakerState;
  /** Asks it, together with what else is asked in this turn of the event loop. Throws where no answer can be had. */
  ask(question: Question): Promise<Verdict>;
  close(): void;
}

interface Waiting {
  question: Question;
  resolve(verdict: Verdict): void;
  reject(cause: unknown): void;
}

/** In one call: Cerbos takes 50 resources unless it is told otherwise. */
const MOST_IN_CALL = 50;
const ATTEMPTS = 3;
const FIRST_PAUSE_MS = 20;
const BREAKER = { threshold: 5, openMs: 1000 };
const MOST_SOCKETS = 64;

/** Opens nothing yet: connections are made when somebody asks. Throws, naming the file, where one cannot be read. */
export function remotePoint(
  settings: RemoteSettings,
  onCall: (outcome: CallOutcome) => void = () => {},
): RemotePoint {
  const agent = agentFor(settings);
  const breaker = new CircuitBreaker({ ...BREAKER, probeMs: settings.timeoutMs });
  const headers: Record<string, string> =
    settings.authorization === undefined ? {} : { authorization: settings.authorization };
  const base = settings.url.replace(/\/+$/, '');
  const call = async (path: string, body: unknown, signal: AbortSignal): Promise<unknown> => {
    const url = new URL(base + path);
    const work = () =>
      withRetries(signal, () => post({ url, agent, headers, body: JSON.stringify(body), signal }));
    try {
      const answer = await breaker.run(work, (cause) => !(cause instanceof RemoteError) || cause.isFailure);
      onCall('answered');
      return answer;
    } catch (cause) {
      onCall(cause instanceof CircuitOpenError ? 'refused' : 'failed');
      throw cause;
    }
  };
  const askAlone = async (waiting: Waiting, signal: AbortSignal): Promise<void> => {
    try {
      waiting.resolve(verdictOf(await call('/access/v1/evaluation', waiting.question, signal)));
    } catch (cause) {
      waiting.reject(told(cause));
    }
  };
  const askTogether = async (group: readonly Waiting[]): Promise<void> => {
    const signal = AbortSignal.timeout(settings.timeoutMs);
    const [first, ...others] = group;
    if (first && others.length === 0) return askAlone(first, signal);
    try {
      const evaluations = group.map(({ question }) => question);
      const answers = answersOf(await call('/access/v1/evaluations', { evaluations }, signal), group.length);
      for (const [at, waiting] of group.entries()) settle(waiting, answers[at]);
    } catch (cause) {
      // They may be of different callers: what one of them asks must not be denied to the others.
      if (cause instanceof RemoteError && cause.isRefused)
        await Promise.all(group.map((waiting) => askAlone(waiting, signal)));
      else for (const { reject } of group) reject(told(cause));
    }
  };
  let gathered: Waiting[] = [];
  const sendGathered = () => {
    const all = gathered;
    gathered = [];
    for (let at = 0; at < all.length; at += MOST_IN_CALL) void askTogether(all.slice(at, at + MOST_IN_CALL));
  };
  return {
    settings,
    get state() {
      return breaker.state;
    },
    ask: (question) =>
      new Promise((resolve, reject) => {
        if (gathered.push({ question, resolve, reject }) === 1) setImmediate(sendGathered);
      }),
    close: () => agent.destroy(),
  };
}

/** One bad answer in a batch spoils no other. */
function settle({ resolve, reject }: Waiting, answer: unknown): void {
  try {
    resolve(verdictOf(answer));
  } catch (cause) {
    reject(told(cause));
  }
}

function told(cause: unknown): Error {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new Error(`the other decision point: ${why}`, { cause });
}

/** A question changes nothing, so it may be asked again. */
async function withRetries<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
  for (let made = 1; ; made++) {
    try {
      return await attempt();
    } catch (cause) {
      if (!(cause instanceof RemoteError && cause.retry) || made >= ATTEMPTS) throw cause;
      const goOn = await sleep(FIRST_PAUSE_MS * made, true, { signal }).catch(() => false);
      if (!goOn) throw cause;
    }
  }
}

function agentFor({ url, caFile, certFile, keyFile }: RemoteSettings): HttpAgent {
  const options = { keepAlive: true, maxSockets: MOST_SOCKETS };
  if (!url.startsWith('https:')) return new HttpAgent(options);
  return new HttpsAgent({
    ...options,
    minVersion: 'TLSv1.2',
    ...(caFile !== undefined && { ca: readFileSync(caFile) }),
    ...(certFile !== undefined && { cert: readFileSync(certFile) }),
    ...(keyFile !== undefined && { key: readFileSync(keyFile) }),
  });
}
