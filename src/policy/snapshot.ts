/** A revision compiled in memory: immutable, indexed by who holds its rules. */
import type { Condition } from './condition.ts';
import type { Policy, ResourceType, Role, Rule } from './policy.ts';
import type { RouteTable } from './routes/route-table.ts';

/** A rule read into conditions. */
export interface CompiledRule {
  id: string;
  effect: 'allow' | 'deny';
  actions: readonly string[];
  subjects: readonly string[];
  fields: readonly string[] | undefined;
  condition: Condition;
  when: Condition;
  reason: string | undefined;
  priority: number;
  /** Milliseconds since the epoch; the rule is there from `validFromMs` on and until before `validUntilMs`. */
  validFromMs: number;
  validUntilMs: number;
  source: Rule;
}

export interface Snapshot {
  revision: number;
  /** SHA-256 of the policy's canonical text: two policies with one digest are one policy. */
  digest: string;
  policy: Policy;
  types: ReadonlyMap<string, ResourceType>;
  roles: ReadonlyMap<string, Role>;
  /** Each role with all that it inherits, itself included. */
  lineage: ReadonlyMap<string, ReadonlySet<string>>;
  rules: ReadonlyMap<string, CompiledRule>;
  rulesByRole: ReadonlyMap<string, readonly CompiledRule[]>;
  rulesByPrincipal: ReadonlyMap<string, readonly CompiledRule[]>;
  routes: RouteTable;
  /** The instants at which a rule begins or ceases to be there, ascending, in ms. */
  boundariesMs: readonly number[];
}

/** How many boundaries have passed: a snapshot's rules in force are the same throughout one slice. */
export function timeSlice({ boundariesMs }: Snapshot, nowMs: number): number {
  let slice = 0;
  while (slice < boundariesMs.length && (boundariesMs[slice] ?? 0) <= nowMs) slice++;
  return slice;
}
