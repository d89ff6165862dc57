/** What the decision log writes down of the facts of a decision: no secrets, and nothing long that no rule asks about. */
import { type Condition, isTemplate } from '../policy/condition.ts';
import type { Facts } from '../policy/matcher.ts';
import { ANY_TYPE } from '../policy/policy.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import { isSecretName } from './redact.ts';

/** Of whom or of what a fact is, as the paths of `when` begin. */
export type Section = 'principal' | 'action' | 'resource' | 'context';

/** A longer text is not written down unless a rule asks about it. */
const LONGEST_TEXT = 500;
/** The same for all the texts, numbers, lists and objects in a list or an object. */
const LARGEST_VALUE = 2000;

/**
 * A copy of the facts for the log; the path of each one that is left out, such as `resource.body`, is added to `omitted`.
 * What a rule asks about (`asked`, see `askedAbout`) is kept whole, however long, unless its name sounds like a secret.
 */
export function storedFacts(
  section: Section,
  facts: Facts,
  asked: ReadonlySet<string>,
  omitted: string[],
): Record<string, unknown> {
  const stored: Record<string, unknown> = { __proto__: null };
  for (const [name, value] of Object.entries(facts)) {
    if (value === undefined || value === null) continue;
    const path = `${section}.${name}`;
    if (isSecretName(name) || (isLarge(value) && !asked.has(path))) omitted.push(path);
    else stored[name] = withoutSecrets(value, path, omitted);
  }
  return stored;
}

function isLarge(value: unknown): boolean {
  return typeof value === 'string'
    ? value.length > LONGEST_TEXT
    : typeof value === 'object' && roomLeft(value, LARGEST_VALUE) < 0;
}

/** Of so much room, what is left beside the value; it is not looked at beyond that. */
function roomLeft(value: unknown, room: number): number {
  if (typeof value === 'string') return room - value.length - 1;
  if (typeof value !== 'object' || value === null) return room - 1;
  let left = room - 1;
  for (const [key, entry] of Object.entries(value)) {
    if (left < 0) break;
    left = roomLeft(entry, left - key.length);
  }
  return left;
}

function withoutSecrets(value: unknown, path: string, omitted: string[]): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  if (Array.isArray(value)) return value.map((item, at) => withoutSecrets(item, `${path}.${at}`, omitted));
  const kept: Record<string, unknown> = { __proto__: null };
  for (const [name, entry] of Object.entries(value)) {
    if (isSecretName(name)) omitted.push(`${path}.${name}`);
    else kept[name] = withoutSecrets(entry, `${path}.${name}`, omitted);
  }
  return kept;
}

const askedBySnapshot = new WeakMap<Snapshot, Map<string, ReadonlySet<string>>>();
const NOTHING: ReadonlySet<string> = new Set();

/** The facts that any rule about the type asks about: `resource.status`, `principal.department`, `context.ip`. */
export function askedAbout(snapshot: Snapshot, type: string): ReadonlySet<string> {
  if (!snapshot.types.has(type)) return NOTHING;
  const known = askedBySnapshot.get(snapshot) ?? new Map<string, ReadonlySet<string>>();
  askedBySnapshot.set(snapshot, known);
  const found = known.get(type);
  if (found) return found;
  const asked = new Set<string>();
  for (const { subjects, condition, when } of snapshot.rules.values()) {
    if (!subjects.includes(type) && !subjects.includes(ANY_TYPE)) continue;
    addAsked(condition, 'resource.', asked);
    addAsked(when, '', asked);
  }
  known.set(type, asked);
  return asked;
}

/** `above` goes before each path; undefined inside an element, whose paths begin at the element. */
function addAsked(condition: Condition, above: string | undefined, asked: Set<string>): void {
  const { kind } = condition;
  if (kind === 'fixed') return;
  if (kind === 'all' || kind === 'any') for (const part of condition.of) addAsked(part, above, asked);
  else if (kind === 'not') addAsked(condition.of, above, asked);
  else {
    if (above !== undefined) asked.add(topOf(`${above}${condition.path}`));
    if (kind === 'element') addAsked(condition.of, undefined, asked);
    else
      for (const { template } of [condition.value].flat().filter(isTemplate))
        asked.add(topOf(`principal.${template}`));
  }
}

function topOf(path: string): string {
  // They are made of the ancestors, which are what is written down.
  if (path === 'principal.ancestorIds') return 'principal.ancestors';
  return path.split('.', 2).join('.');
}
