/** A policy as several files: what a change touches is in few of them, and each is short enough to review. */
import { emptyPolicy, type Policy, type Rule } from './policy.ts';
import { type PolicyFormat, policyText } from './write-files.ts';

/** The text of each file by its path in the folder; collections that are empty have none. */
export function splitPolicy(policy: Policy, format: PolicyFormat, schema: string): Map<string, string> {
  const parts: [string, Partial<Policy>][] = [
    ['resource-types', { resourceTypes: policy.resourceTypes }],
    ['roles', { roles: policy.roles }],
    ...[...rulesByHolder(policy.rules)].map(([holder, rules]): [string, Partial<Policy>] => [
      `rules/${holder}`,
      { rules },
    ]),
    ['cases', { cases: policy.cases }],
    ['cedar', { cedar: policy.cedar }],
  ];
  const filled = parts.filter(([, part]) => Object.values(part).some((list) => list.length > 0));
  return new Map(
    filled.map(([name, part]) => [
      `${name}.${format}`,
      policyText({ ...emptyPolicy(), ...part }, format, schema),
    ]),
  );
}

/** Whether an export may have written a file of this path, in whatever format. */
export function isSplitFile(path: string): boolean {
  return (
    /^(resource-types|roles|cases|cedar|rules\/[^/]+)\.(yaml|json)$/.test(path) &&
    !path.endsWith('.schema.json')
  );
}

function rulesByHolder(rules: readonly Rule[]): Map<string, Rule[]> {
  const groups = new Map<string, Rule[]>();
  for (const rule of rules) {
    const name = fileNameOf(rule.role ?? rule.principal ?? '');
    const group = groups.get(name);
    if (group) group.push(rule);
    else groups.set(name, [rule]);
  }
  return groups;
}

const LONGEST_NAME = 100;

/** An id may hold `/` and `..`, and must not lead out of the folder; who falls together shares a file. */
function fileNameOf(holder: string): string {
  return holder
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, '-')
    .slice(0, LONGEST_NAME);
}
