/** What was added, changed and removed between two policies: as data, and in lines for people. */
import { isDeepStrictEqual } from 'node:util';
import { partText } from './compile.ts';
import { type Collection, collections, nameOf, type Part, type Policy } from './policy.ts';

/** What changed of one kind of part, by name. */
export interface PartDiff<T> {
  added: T[];
  changed: { before: T; after: T }[];
  removed: T[];
}

export type PolicyDiff = { [C in Collection]: PartDiff<Policy[C][number]> };

/** Parts of the same name are one part; what is the same object did not change. */
export function diffPolicies(before: Policy, after: Policy): PolicyDiff {
  const diffs = collections.map((collection) => [
    collection,
    diffParts<Part>(collection, before[collection], after[collection]),
  ]);
  return Object.fromEntries(diffs);
}

function diffParts<T extends Part>(collection: Collection, before: T[], after: T[]): PartDiff<T> {
  const diff: PartDiff<T> = { added: [], changed: [], removed: [] };
  // Most of a long list is as it was, up to the one part that is not.
  let same = 0;
  while (same < before.length && before[same] === after[same]) same++;
  const old = new Map(before.slice(same).map((part) => [nameOf(collection, part), part]));
  for (const part of after.slice(same)) {
    const name = nameOf(collection, part);
    const previous = old.get(name);
    old.delete(name);
    if (!previous) diff.added.push(part);
    else if (previous !== part && partText(previous) !== partText(part))
      diff.changed.push({ before: previous, after: part });
  }
  diff.removed.push(...old.values());
  return diff;
}

export function isEmptyDiff(diff: PolicyDiff): boolean {
  return collections.every((collection) => {
    const { added, changed, removed } = diff[collection];
    return added.length + changed.length + removed.length === 0;
  });
}

/** How many parts were added, changed and removed. */
export function countDiff(diff: PolicyDiff): { added: number; changed: number; removed: number } {
  const counts = { added: 0, changed: 0, removed: 0 };
  for (const collection of collections) {
    counts.added += diff[collection].added.length;
    counts.changed += diff[collection].changed.length;
    counts.removed += diff[collection].removed.length;
  }
  return counts;
}

const words: Record<Collection, string> = {
  resourceTypes: 'resource type',
  roles: 'role',
  rules: 'rule',
  routes: 'route',
  cases: 'case',
  cedar: 'Cedar part',
};

const LONGEST_VALUE = 200;

/** One line for each part added or removed, and for each key that changed, such as `rule x: priority 0 → 5`. */
export function describeDiff(diff: PolicyDiff): string[] {
  return collections.flatMap((collection) => {
    const { added, changed, removed } = diff[collection];
    const named = (part: Part) => `${words[collection]} ${nameOf(collection, part)}`;
    return [
      ...added.map((part) => `${named(part)}: added`),
      ...changed.flatMap(({ before, after }) =>
        changedKeys(before, after).map(
          (key) => `${named(after)}: ${key} ${shown(before, key)} → ${shown(after, key)}`,
        ),
      ),
      ...removed.map((part) => `${named(part)}: removed`),
    ];
  });
}

/** The keys that are not what they were. */
export function changedKeys(before: object, after: object): string[] {
  return Object.keys({ ...before, ...after }).filter(
    (key) => !isDeepStrictEqual(Reflect.get(before, key), Reflect.get(after, key)),
  );
}

function shown(part: object, key: string): string {
  const value = Reflect.get(part, key);
  const text = value === undefined ? 'none' : typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}…` : text;
}
