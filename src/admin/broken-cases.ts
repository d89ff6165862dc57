/** The cases that a change of the policy breaks, now or when one of its rules begins or ends. */
import { brokenBy, type CaseResult, casesLeft, type DecisionsAt, runCases } from '../decision/run-cases.ts';
import type { PolicyDiff } from '../policy/diff.ts';
import type { Case } from '../policy/policy.ts';
import type { Publication } from '../policy/publish.ts';
import type { Snapshot } from '../policy/snapshot.ts';

/**
 * The cases that hold before it and not after it, be they kept by it or not, and the new ones that do not hold. A case that
 * names no instant must hold at every one, so it is asked again whenever a rule of the change begins or ends.
 */
export async function casesBrokenBy(
  { decisionsAt }: { decisionsAt: DecisionsAt },
  { before, after, diff }: Publication,
): Promise<CaseResult[]> {
  const broken = await brokenAt(Date.now(), before, after, decisionsAt);
  const told = new Set(broken.map(({ id }) => id));
  const [was, is] = [undated(before), undated(after)];
  for (const atMs of laterInstants(diff)) {
    const later = await brokenAt(atMs, was, is, decisionsAt);
    const more = later.filter(({ id }) => !told.has(id));
    for (const { id } of more) told.add(id);
    const from = new Date(atMs).toISOString();
    broken.push(...more.map((result) => ({ ...result, message: `${result.message}, from ${from} on` })));
  }
  return broken;
}

async function brokenAt(
  atMs: number,
  before: Snapshot,
  after: Snapshot,
  decisionsAt: DecisionsAt,
): Promise<CaseResult[]> {
  const run = (cases: readonly Case[], snapshot: Snapshot) => runCases(cases, snapshot, decisionsAt, atMs);
  const [was, is] = [before.policy.cases, after.policy.cases];
  const results = await run(is, after);
  const left = await run(casesLeft(was, is), after);
  if ([...results, ...left].every(({ passed }) => passed)) return [];
  return brokenBy({ cases: was, results: await run(was, before) }, { cases: is, results }, left);
}

/** With those of its cases that name no instant. */
function undated(snapshot: Snapshot): Snapshot {
  const cases = snapshot.policy.cases.filter(({ at }) => at === undefined);
  return { ...snapshot, policy: { ...snapshot.policy, cases } };
}

/** When rules that are in the change begin or end after now, each once, in ms, ascending. */
function laterInstants({ rules: { added, changed, removed } }: PolicyDiff): number[] {
  const written = [...added, ...changed.flatMap(({ before, after }) => [before, after]), ...removed];
  const bounds = written.flatMap(({ validFrom, validUntil }) => [validFrom, validUntil]);
  const instants = bounds.flatMap((bound) => (bound === null ? [] : [Date.parse(bound)]));
  return [...new Set(instants.filter((atMs) => atMs > Date.now()))].sort((a, b) => a - b);
}
