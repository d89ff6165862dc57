/**
 * A route says what is asked of whoever comes to an upstream: one that asks for less opens what was closed. So whoever
 * writes one holds what it asks for, of every resource of the type, and so with the routes whose requests it takes or leaves.
 */
import { ALWAYS } from '../policy/condition.ts';
import type { Gap, GivenRule } from '../policy/containment.ts';
import type { Publication } from '../policy/publish.ts';
import { intersect, isMoreSpecific, readPath } from '../policy/routes/path-template.ts';
import { type Route, routeAttributes } from '../policy/routes/route.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Giver } from './giver.ts';
import { gapAmong, requireNoGap, type Target } from './require-holds.ts';

/** Throws `privilege_escalation` where a change of routes could open what the giver may not do, unless they may `escalate` on the route. */
export async function guardRoutes(giver: Giver, { before, after, diff }: Publication): Promise<void> {
  const { added, changed, removed } = diff.routes;
  if (added.length + changed.length + removed.length === 0) return;
  const gapOf = gapsOf(giver, before, after);
  const beyond = (snapshot: Snapshot) => snapshot.policy.routes.filter((route) => gapOf(route) !== undefined);
  const [were, are] = [beyond(before), beyond(after)];
  for (const route of [...added, ...changed.map((change) => change.after)]) {
    await refuse(giver, before, gapOf(route), route);
    // What is public already is only closed by a route before it.
    const wider = were.find((other) => !other.public && takesFrom(route, other));
    await refuse(giver, before, wider && movedTo(wider, route, gapOf(wider)), route);
  }
  for (const route of [...removed, ...changed.map((change) => change.before)])
    if (!route.public) await refuse(giver, before, gapOf(route), route);
  const moved = changed.filter((change) => !takesAll(change.after, change.before));
  for (const route of [...removed, ...moved.map((change) => change.before)]) {
    const wider = are.find((other) => takesFrom(route, other));
    await refuse(giver, before, wider && movedTo(route, wider, gapOf(wider)), route);
  }
}

function movedTo(from: Route, to: Route, gap: Gap): Gap {
  return `requests to the route ${from.id} would go to the route ${to.id}: ${gap}`;
}

async function refuse(giver: Giver, snapshot: Snapshot, gap: Gap, route: Route): Promise<void> {
  const target: Target = { type: 'castellan.route', attributes: routeAttributes(route) };
  await requireNoGap(giver, snapshot, gap, target);
}

/** What the giver lacks of what a route asks for; the answer is the same for each that asks for the same. */
function gapsOf(giver: Giver, snapshot: Snapshot, after: Snapshot): (route: Route) => Gap {
  const known = new Map<string, Gap>();
  return (route) => {
    if (route.public) return `the route ${route.id} is public: it lets in whoever comes`;
    const { resource = '' } = route;
    // What rules say of a type that another evaluator decides about is not what is held.
    if ([snapshot, after].some(({ types }) => (types.get(resource)?.evaluator ?? 'casl') !== 'casl'))
      return `what is permitted on ${resource} is not decided by rules, and cannot be held against what you may`;
    const key = `${route.action} ${route.resource}`;
    if (!known.has(key)) known.set(key, gapAmong(giver, snapshot, [askedBy(route)]));
    return known.get(key);
  };
}

/** What a route asks for, as a permission: of every resource of the type, for whoever may come. Denies that bind everyone go on binding. */
function askedBy({ id, action = '', resource = '' }: Route): GivenRule {
  return {
    id,
    effect: 'allow',
    actions: [action],
    subjects: [resource],
    condition: ALWAYS,
    when: ALWAYS,
    priority: Number.NEGATIVE_INFINITY,
    toAnonymous: true,
  };
}

/** Whether a route has every request that it had before. */
function takesAll(after: Route, before: Route): boolean {
  return (
    after.host === before.host &&
    after.path === before.path &&
    before.methods.every((method) => after.methods.includes(method))
  );
}

/** Whether a route takes requests that the other would have without it. */
function takesFrom(route: Route, other: Route): boolean {
  if (other.id === route.id) return false;
  if (other.host !== undefined && other.host !== route.host) return false;
  if (!route.methods.some((method) => other.methods.includes(method))) return false;
  const [own, wider] = [readPath(route.path).segments, readPath(other.path).segments];
  if (!intersect(own, wider)) return false;
  return other.host !== route.host || !isMoreSpecific(wider, own);
}
