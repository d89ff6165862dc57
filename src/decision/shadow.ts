/** The second evaluator of a resource type, asked beside the first: it decides nothing, and nobody waits for it. */
import { cleanCopy } from '../policy/attributes.ts';
import type { Facts } from '../policy/matcher.ts';
import type { AccessRequest } from './access-request.ts';
import type { DecisionRecord } from './decide.ts';
import type { Evaluator } from './evaluator.ts';

export type ShadowOutcome = 'agreed' | 'disagreed' | 'doubt' | 'dropped';

/** What the shadow would have decided. */
export interface ShadowDecision {
  evaluator: string;
  allow: boolean;
  ruleId: string | null;
  reason?: string;
  /** Why it said nothing, which denies. */
  doubt?: string;
}

/** A decision that would have come out otherwise. */
export interface Disagreement {
  entry: DecisionRecord;
  /** In the decision log, where it is kept. */
  decisionId: string | undefined;
  atMs: number;
  shadow: ShadowDecision;
}

export interface ShadowOptions {
  evaluators: ReadonlyMap<string, Evaluator>;
  /** About one resource type: asked at once, and waiting for it; beyond both it is dropped. */
  concurrency: number;
  queue: number;
  timeoutMs: number;
  onOutcome(evaluator: string, outcome: ShadowOutcome): void;
  onDisagreement(disagreement: Disagreement): void;
}

export interface Shadows {
  /** Takes note of a decision. Never throws, never waits, and begins nothing before the caller has gone on. */
  note(entry: DecisionRecord, decisionId: string | undefined): void;
}

type Asked = Omit<Disagreement, 'shadow'> & { evaluator: string };

/** What one shadow is asked about one resource type: whoever hangs there keeps nobody else from being asked. */
interface Line {
  waiting: Asked[];
  running: number;
}

export function shadows(options: ShadowOptions): Shadows {
  const { concurrency, queue, onOutcome } = options;
  /** Only those in which somebody runs or waits. */
  const lines = new Map<string, Line>();
  const next = (key: string, line: Line): void => {
    while (line.running < concurrency) {
      const asked = line.waiting.shift();
      if (!asked) break;
      line.running++;
      void compare(options, asked)
        .catch(() => {}) // whoever is told must not fail a later one
        .finally(() => {
          line.running--;
          next(key, line);
        });
    }
    if (line.running === 0 && lines.get(key) === line) lines.delete(key);
  };
  return {
    note: (entry, decisionId) => {
      const evaluator = shadowOf(entry);
      if (evaluator === undefined) return;
      const key = `${evaluator} ${entry.request.resource.type}`;
      const line = lines.get(key) ?? { waiting: [], running: 0 };
      if (line.waiting.length >= queue + concurrency - line.running) return onOutcome(evaluator, 'dropped');
      lines.set(key, line);
      line.waiting.push({ entry, decisionId, atMs: Date.now(), evaluator });
      if (line.waiting.length === 1) setImmediate(next, key, line);
    },
  };
}

/**
 * Undefined where there is none, where the question was in doubt before anybody was asked, and where it only narrows a
 * list: of those there are as many as rows.
 */
function shadowOf({ snapshot, request, evaluator, logging }: DecisionRecord): string | undefined {
  if (logging === 'never' || evaluator === 'none') return undefined;
  return snapshot.types.get(request.resource.type)?.shadow;
}

async function compare(options: ShadowOptions, { evaluator, ...asked }: Asked): Promise<void> {
  const shadow = await decisionOf(options, evaluator, asked.entry);
  const agrees = shadow.allow === asked.entry.decision.allow;
  const outcome = shadow.doubt === undefined ? (agrees ? 'agreed' : 'disagreed') : 'doubt';
  options.onOutcome(evaluator, outcome);
  if (!agrees) options.onDisagreement({ ...asked, shadow });
}

async function decisionOf(
  { evaluators, timeoutMs }: ShadowOptions,
  name: string,
  { snapshot, request }: DecisionRecord,
): Promise<ShadowDecision> {
  try {
    const evaluator = evaluators.get(name);
    if (!evaluator) throw new Error(`no evaluator ${name}`);
    const { allow, ruleId, reason } = await inTime(evaluator.evaluate(snapshot, copyOf(request)), timeoutMs);
    return { evaluator: name, allow: allow === true, ruleId, ...(reason !== undefined && { reason }) };
  } catch (cause) {
    const doubt = cause instanceof Error ? cause.message : String(cause);
    return { evaluator: name, allow: false, ruleId: null, doubt };
  }
}

/** What the shadow changes in its copy changes nothing for those who go on with the request. */
function copyOf(request: AccessRequest): AccessRequest {
  const { principal, action, resource } = request;
  const copy = (facts: Facts) => cleanCopy(facts) as Facts;
  return {
    ...request,
    principal: { ...principal, roles: [...principal.roles], attributes: copy(principal.attributes) },
    action: { name: action.name, ...(action.properties && { properties: copy(action.properties) }) },
    resource: { ...resource, attributes: copy(resource.attributes), misfits: [...resource.misfits] },
    context: copy(request.context),
  };
}

async function inTime<T>(answer: Promise<T> | T, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`it did not answer in ${timeoutMs} ms`)), timeoutMs);
  });
  return Promise.race([answer, over]).finally(() => clearTimeout(timer));
}
