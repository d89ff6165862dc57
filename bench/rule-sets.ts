/** Two shapes of rule set, of any size, with requests that are allowed and denied, the same at every run. */
import { type AccessRequest, principalOf, resourceOf } from '../src/decision/access-request.ts';
import { evaluatorNames } from '../src/evaluators/index.ts';
import type { Principal } from '../src/policy/ability.ts';
import { builtInTypes } from '../src/policy/built-in.ts';
import { compile } from '../src/policy/compile.ts';
import type { ResourceType, Rule } from '../src/policy/policy.ts';
import type { Snapshot } from '../src/policy/snapshot.ts';

/** A question before it is cleaned: the caller's own object, as it comes from a table. */
export interface Asked {
  action: string;
  type: string;
  object: Record<string, unknown>;
}

/** All rules belong to one role, which whoever asks has. */
export interface RuleSet {
  snapshot: Snapshot;
  asked: Asked[];
}

export type Shape = 'spread' | 'one type';

export const shapes: Record<Shape, { meaning: string; make(rules: number): RuleSet }> = {
  spread: {
    meaning:
      'ten rules for each of N/10 resource types over five actions: some open, some on owner, department or status, some denies',
    make: spreadSet,
  },
  'one type': {
    meaning:
      'N rules for one action on one type, each for another owner or department, 5 of them ranges (2 of those deny)',
    make: oneTypeSet,
  },
};

const ROLE = 'staff';
const REQUESTS = 512;
const ACTIONS = ['read', 'create', 'update', 'delete', 'publish'];
const STATES = ['draft', 'review', 'published', 'archived'];
const DEPARTMENTS = ['editorial', 'sales', 'legal', 'finance'];
const ME = uuidOf(1);

/** Somebody with the role; another number is somebody else with the same rules. */
export function principal(snapshot: Snapshot, number = 0): Principal {
  return principalOf(
    {
      type: 'user',
      id: ME,
      roles: [ROLE],
      attributes: { department: 'editorial' },
      accessVersion: number,
    },
    snapshot.types.get('user'),
  );
}

/** The question as `decide` takes it. */
export function requestOf(
  snapshot: Snapshot,
  asker: Principal,
  { action, type, object }: Asked,
): AccessRequest {
  const declared = snapshot.types.get(type);
  if (!declared) throw new Error(`no type ${type}`);
  return {
    principal: asker,
    action: { name: action },
    resource: resourceOf(declared, object),
    context: { ip: '127.0.0.1' },
  };
}

function spreadSet(rules: number): RuleSet {
  const types = Array.from({ length: Math.ceil(rules / 10) }, (_, n) => resourceType(`thing-${n}`));
  const made = types.flatMap(({ type }) => spreadRules(type)).slice(0, rules);
  const random = randomFrom(7);
  const asked = Array.from({ length: REQUESTS }, () => ({
    action: pick(random, ACTIONS),
    type: pick(random, types).type,
    object: objectWith(random, random() < 0.5 ? ME : uuidOf(2), pick(random, DEPARTMENTS)),
  }));
  return { snapshot: snapshotOf(types, made), asked };
}

function spreadRules(subject: string): Rule[] {
  const rules: Partial<Rule>[] = [
    { action: 'read', conditions: { status: 'published' } },
    { action: 'read', conditions: { ownerId: `\${principal.id}` } },
    { action: ['read', 'update'], conditions: { department: `\${principal.department}` } },
    { action: 'create', conditions: { ownerId: `\${principal.id}`, status: 'draft' } },
    { action: 'update', conditions: { ownerId: `\${principal.id}`, status: { $in: ['draft', 'review'] } } },
    { action: 'delete', conditions: { ownerId: `\${principal.id}`, status: 'draft' } },
    { action: 'publish', conditions: { department: `\${principal.department}`, status: 'review' } },
    { action: 'publish', conditions: { pages: { $lte: 10 } } },
    { action: ['update', 'delete'], inverted: true, conditions: { status: 'archived' } },
    { action: 'delete', inverted: true, conditions: { pages: { $gt: 300 } } },
  ];
  return rules.map((rule, index) => ruleOf({ id: `${subject}-${index}`, subject, ...rule }));
}

function oneTypeSet(rules: number): RuleSet {
  const type = resourceType('thing');
  const ranges: Partial<Rule>[] = [
    { conditions: { pages: { $lt: 10 } } },
    { conditions: { pages: { $gte: 500, $lt: 520 } } },
    { conditions: { rating: { $gt: 4.9 } } },
    { inverted: true, conditions: { pages: { $gt: 990 } } },
    { inverted: true, conditions: { rating: { $lt: 0.1 } } },
  ];
  const keyed = Array.from({ length: Math.max(0, rules - ranges.length) }, (_, n) => ({
    conditions: n % 2 === 0 ? { ownerId: uuidOf(n) } : { department: `department-${n}` },
  }));
  const made = [...keyed, ...ranges].map((rule, index) =>
    ruleOf({ id: `rule-${index}`, action: 'read', subject: type.type, ...rule }),
  );
  const random = randomFrom(11);
  const asked = Array.from({ length: REQUESTS }, () => {
    const n = Math.floor(random() * keyed.length);
    const [owner, department] = random() < 0.5 ? [uuidOf(-1), 'unknown'] : [uuidOf(n), `department-${n}`];
    return { action: 'read', type: type.type, object: objectWith(random, owner, department) };
  });
  return { snapshot: snapshotOf([type], made), asked };
}

function objectWith(random: () => number, ownerId: string, department: string): Record<string, unknown> {
  return {
    id: uuidOf(Math.floor(random() * 1e6)),
    title: 'A title of some words',
    status: pick(random, STATES),
    ownerId,
    department,
    pages: Math.floor(random() * 1000),
    rating: random() * 5,
    createdAt: new Date(1_790_000_000_000 + Math.floor(random() * 1e9)),
  };
}

function resourceType(type: string): ResourceType {
  return {
    type,
    description: '',
    actions: ACTIONS,
    attributes: {
      id: { type: 'uuid' },
      title: { type: 'string' },
      status: { type: 'string', enum: STATES },
      ownerId: { type: 'uuid' },
      department: { type: 'string' },
      pages: { type: 'integer' },
      rating: { type: 'number' },
      createdAt: { type: 'date' },
    },
    source: null,
    evaluator: 'casl',
  };
}

function ruleOf(rest: Partial<Rule> & Pick<Rule, 'id'>): Rule {
  return {
    role: ROLE,
    action: 'read',
    subject: 'thing',
    inverted: false,
    priority: 0,
    enabled: true,
    validFrom: null,
    validUntil: null,
    ...rest,
  };
}

function snapshotOf(types: ResourceType[], rules: Rule[]): Snapshot {
  const accounts = builtInTypes.map((type) =>
    type.type === 'user'
      ? { ...type, attributes: { ...type.attributes, department: { type: 'string' as const } } }
      : type,
  );
  const roles = [{ key: ROLE, name: ROLE, description: '', inherits: [] }];
  const { snapshot, problems } = compile(
    { resourceTypes: [...accounts, ...types], roles, rules, cases: [], routes: [], cedar: [] },
    { revision: 1, evaluators: evaluatorNames },
  );
  if (!snapshot) throw new Error(`the rules do not compile: ${JSON.stringify(problems[0])}`);
  return snapshot;
}

function uuidOf(n: number): string {
  return `00000000-0000-4000-8000-${(n + 1).toString(16).padStart(12, '0')}`;
}

function pick<T>(random: () => number, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)] as T;
}

/** Numbers in 0..1 that are the same at every run (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
