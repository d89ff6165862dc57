/** Cases put to a snapshot: tests of the policy, as data. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { partText } from '../policy/compile.ts';
import type { Case, CaseMatrix, SingleCase } from '../policy/policy.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { DecisionPoint } from './decide.ts';
import { requestOfQuestion } from './question.ts';

/** How one question of the cases went. */
export interface CaseResult {
  /** The case's id; of a matrix with principal, resource and action behind it. */
  id: string;
  name?: string;
  passed: boolean;
  expected: 'allow' | 'deny';
  got: 'allow' | 'deny';
  /** The rule that settled it; null: none did. */
  rule: string | null;
  /** What is wrong, in words; absent when it passed. */
  message?: string;
}

const PER_TURN = 200;

/** Decisions as they would be at an instant, recorded nowhere. */
export type DecisionsAt = (atMs: number) => DecisionPoint;

/** Runs every question of the cases, in their order, at an instant of their own or else at `nowMs`. */
export async function runCases(
  cases: readonly Case[],
  snapshot: Snapshot,
  decisionsAt: DecisionsAt,
  nowMs = Date.now(),
): Promise<CaseResult[]> {
  const points = new Map<number, DecisionPoint>();
  const results: CaseResult[] = [];
  for (const written of cases) {
    for (const single of questionsOf(written)) {
      const atMs = single.at === undefined ? nowMs : Date.parse(single.at);
      const point = points.get(atMs) ?? decisionsAt(atMs);
      points.set(atMs, point);
      results.push(await runOne(single, snapshot, point, atMs));
      // Requests that came meanwhile go first.
      if (results.length % PER_TURN === 0) await nextTurn();
    }
  }
  return results;
}

/** Cases, and how they went. */
interface Run {
  cases: readonly Case[];
  results: readonly CaseResult[];
}

/**
 * Those that fail and did not fail before: what a change breaks. A case is the same one as long as its words are; one that
 * is written anew and fails is broken, whatever its id was before. `left` are results of those that the change takes out or
 * rewords: they guard the policy against the change that takes them away, too.
 */
export function brokenBy(before: Run, after: Run, left: readonly CaseResult[]): CaseResult[] {
  const [was, is] = [wordsById(before.cases), wordsById(after.cases)];
  const nameOf = (id: string) => id.split('/')[0] ?? id;
  const failedBefore = new Set(before.results.filter(({ passed }) => !passed).map(({ id }) => id));
  const broken = after.results.filter(
    ({ passed, id }) => !passed && !(failedBefore.has(id) && was.get(nameOf(id)) === is.get(nameOf(id))),
  );
  const told = new Set(broken.map(({ id }) => id));
  const brokenAsStored = left
    .filter(({ passed, id }) => !passed && !failedBefore.has(id) && !told.has(id))
    .map((result) => ({ ...result, message: `${result.message}, as it is stored` }));
  return [...broken, ...brokenAsStored];
}

/** Those of `before` that are not in `after` in the same words. */
export function casesLeft(before: readonly Case[], after: readonly Case[]): Case[] {
  const kept = wordsById(after);
  return before.filter((written) => kept.get(written.id) !== partText(written));
}

function wordsById(cases: readonly Case[]): Map<string, string> {
  return new Map(cases.map((written) => [written.id, partText(written)]));
}

function questionsOf(written: Case): SingleCase[] {
  return 'principals' in written ? cellsOf(written) : [written];
}

function cellsOf({ id, name, at, context, principals, resources, actions, allow }: CaseMatrix): SingleCase[] {
  return Object.entries(principals).flatMap(([who, principal]) =>
    Object.entries(resources).flatMap(([what, resource]) =>
      actions.map(
        (action): SingleCase => ({
          id: `${id}/${who}/${what}/${action}`,
          ...(name !== undefined && { name: `${name}: ${who}, ${what}, ${action}` }),
          ...(at !== undefined && { at }),
          ...(context && { context }),
          principal,
          resource,
          action,
          expect: allowed(allow, who, what).includes(action) ? 'allow' : 'deny',
        }),
      ),
    ),
  );
}

function allowed(allow: CaseMatrix['allow'], who: string, what: string): readonly string[] {
  const row = Object.hasOwn(allow, who) ? allow[who] : undefined;
  return (row && Object.hasOwn(row, what) && row[what]) || [];
}

async function runOne(
  single: SingleCase,
  snapshot: Snapshot,
  point: DecisionPoint,
  atMs: number,
): Promise<CaseResult> {
  const { id, name, expect: expected, rule, fields = {} } = single;
  const told = { id, ...(name !== undefined && { name }), expected };
  if (!snapshot.types.has(single.resource.type)) {
    // Only of a case that the policy does not keep: its type went with it, and nothing is allowed any more.
    const message = `there is no resource type ${single.resource.type}`;
    const passed = expected === 'deny' && !rule;
    return { ...told, passed, got: 'deny', rule: null, ...(!passed && { message }) };
  }
  const request = requestOfQuestion(single, snapshot, atMs);
  if (request.resource.misfits.length > 0) {
    const message = `attributes of the wrong type: ${request.resource.misfits.join(', ')}`;
    return { ...told, passed: false, got: 'deny', rule: null, message };
  }
  const { allow, ruleId } = await point.decide(snapshot, request);
  const got = allow ? 'allow' : 'deny';
  const names = Object.keys(fields);
  const permitted = names.length > 0 ? await point.permittedFields(snapshot, request, names) : new Set();
  const wrong = [
    got !== expected && `expected ${expected}, got ${got} by ${ruleId ?? 'no rule'}`,
    rule !== undefined &&
      rule !== ruleId &&
      `expected ${rule ?? 'no rule'} to settle it, ${ruleId ?? 'no rule'} did`,
    ...names.map(
      (field) =>
        permitted.has(field) !== fields[field] &&
        `expected the field ${field} to be ${fields[field] ? 'permitted' : 'refused'}`,
    ),
  ].filter((message) => message !== false);
  return {
    ...told,
    passed: wrong.length === 0,
    got,
    rule: ruleId,
    ...(wrong.length > 0 && { message: wrong.join('; ') }),
  };
}
