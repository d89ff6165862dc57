/** A policy as several files: what a change touches is in few of them, and each is short enough to review. */
import { emptyPolicy, type Policy } from './policy.ts';
import { type PolicyFormat, policyText } from './write-files.ts';

/** The text of each file by its path in the folder; collections that are empty have none. */
export function splitPolicy(policy: Policy, format: PolicyFormat, schema: string): Map<string, string> {
  const parts: [string, Partial<Policy>][] = [
    ['resource-types', { resourceTypes: policy.resourceTypes }],
    ['roles', { roles: policy.roles }],
    ...[...groupBy(policy.rules, ({ role, principal }) => role ?? principal ?? '')].map(
      ([holder, rules]): [string, Partial<Policy>] => [`rules/${holder}`, { rules }],
    ),
    ...[...groupBy(policy.routes, ({ host }) => host ?? 'any-host')].map(
      ([host, routes]): [string, Partial<Policy>] => [`routes/${host}`, { routes }],
    ),
    ['cases', { cases: policy.cases }],
    ['cedar', { cedar: policy.cedar }],
  ];
  const filled = parts.filter(([, part]) => Object.values(part).some((list) => list.length > 0));
  return new Map(
    filled.map(([name, part]) => [
      `${name}.${format}`,
      policyText({ ...emptyPolicy(), ...part }, format, schema, { comment: SPLIT_MARK }),
    ]),
  );
}

/** What tells the files of an export from those that people wrote: without it, none is replaced or taken away. */
const SPLIT_MARK = 'Written by castellan export --split, and replaced by the next one';

/** Whether an export has written a file of this path and text, in whatever format. */
export function isSplitFile(path: string, text: string): boolean {
  if (!/^(resource-types|roles|cases|cedar|(rules|routes)\/[^/]+)\.(yaml|json)$/.test(path)) return false;
  if (path.endsWith('.yaml')) return text.split(/\r?\n/, 2)[1] === `# ${SPLIT_MARK}`;
  const [, second, third] = text.split(/\r?\n/, 3);
  return [second, third].includes(`  "$comment": ${JSON.stringify(SPLIT_MARK)},`);
}

/** By the name of the file that each belongs into. */
function groupBy<Part>(parts: readonly Part[], holderOf: (part: Part) => string): Map<string, Part[]> {
  const groups = new Map<string, Part[]>();
  for (const part of parts) {
    const name = fileNameOf(holderOf(part));
    const group = groups.get(name);
    if (group) group.push(part);
    else groups.set(name, [part]);
  }
  return groups;
}

const LONGEST_NAME = 100;

/** An id may hold `/` and `..`, and must not lead out of the folder; those that fall together share a file. */
function fileNameOf(holder: string): string {
  return holder
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, '-')
    .slice(0, LONGEST_NAME);
}
