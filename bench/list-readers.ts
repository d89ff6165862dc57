/** Two hundred rules about documents, five kinds of reader, and for each the WHERE that an expert would write by hand. */
import { principalOf } from '../src/decision/access-request.ts';
import { evaluatorNames } from '../src/evaluators/index.ts';
import type { Principal } from '../src/policy/ability.ts';
import { builtInTypes } from '../src/policy/built-in.ts';
import { compile } from '../src/policy/compile.ts';
import type { ResourceType, Rule } from '../src/policy/policy.ts';
import type { Snapshot } from '../src/policy/snapshot.ts';

export const DOCUMENTS = 1_000_000;
export const OWNERS = 10_000;
export const DEPARTMENTS = 200;
/** A department of few documents, the oldest there are: the worst place for whoever reads from the newest on. */
export const ATTIC = { department: 'attic', documents: 20 };

/** Somebody, and what they may read in SQL of one's own; `?` as in `knex.raw`. */
export interface Reader {
  meaning: string;
  principal: Principal;
  byHand: { where: string; bindings: (string | string[])[] };
}

const RULES = 200;
const ME = ownerId(4711);

const document: ResourceType = {
  type: 'document',
  description: '',
  actions: ['read', 'update'],
  attributes: {
    id: { type: 'uuid' },
    title: { type: 'string' },
    body: { type: 'string' },
    status: { type: 'string', enum: ['draft', 'review', 'published', 'archived'] },
    ownerId: { type: 'uuid' },
    department: { type: 'string', nullable: true },
    notes: { type: 'string', nullable: true },
    createdAt: { type: 'date' },
    updatedAt: { type: 'date' },
  },
  source: 'documents',
  evaluator: 'casl',
};

const few: Partial<Rule>[] = [
  { role: 'auditor' },
  { role: 'author', conditions: { ownerId: `\${principal.id}` } },
  { role: 'member', conditions: { department: `\${principal.department}` } },
  { role: 'member', inverted: true, conditions: { status: 'archived' } },
  { role: 'visitor', conditions: { department: `\${principal.department}`, status: 'review' } },
  { role: 'visitor', inverted: true, conditions: { title: { $regex: '^secret' } } },
];

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);

/** Who coordinates many departments has a rule for each; what they must not see has as many. */
const many: Partial<Rule>[] = [
  ...numbers(60).map((n) => ({ conditions: { department: departmentOf(n), status: 'review' } })),
  ...numbers(40).map((n) => ({
    conditions: { department: departmentOf(60 + n), status: { $in: ['draft', 'review'] } },
  })),
  ...numbers(50).map((n) => ({ conditions: { ownerId: ownerId(n) } })),
  { inverted: true, conditions: { status: 'archived' } },
  ...numbers(RULES - few.length - 151).map((n) => ({
    inverted: true,
    conditions:
      n % 2 === 0 ? { ownerId: ownerId(1000 + n) } : { department: departmentOf(n), status: 'draft' },
  })),
].map((rule) => ({ role: 'coordinator', ...rule }));

/** All of the rules, each in the role of one kind of reader. */
export function readers(): { snapshot: Snapshot; readers: Record<string, Reader> } {
  const snapshot = snapshotOf([...few, ...many]);
  const as = (role: string, department: string) =>
    principalOf(
      { type: 'user', id: ME, roles: [role], attributes: { department }, accessVersion: 0 },
      snapshot.types.get('user'),
    );
  return {
    snapshot,
    readers: {
      auditor: {
        meaning: 'reads all',
        principal: as('auditor', 'audit'),
        byHand: { where: 'true', bindings: [] },
      },
      author: {
        meaning: `reads their own, about ${DOCUMENTS / OWNERS}`,
        principal: as('author', departmentOf(7)),
        byHand: { where: 'owner_id = ?', bindings: [ME] },
      },
      member: {
        meaning: 'reads a department, except what is archived',
        principal: as('member', departmentOf(7)),
        byHand: { where: `department = ? AND status <> 'archived'`, bindings: [departmentOf(7)] },
      },
      coordinator: {
        meaning: `holds ${many.length} rules, ${many.filter(({ inverted }) => inverted).length} of them denies`,
        principal: as('coordinator', departmentOf(7)),
        byHand: coordinatorsByHand(),
      },
      visitor: {
        meaning: 'reads next to nothing, the oldest',
        principal: as('visitor', ATTIC.department),
        byHand: {
          where: `department = ? AND status = 'review' AND title !~ '^secret'`,
          bindings: [ATTIC.department],
        },
      },
    },
  };
}

/** Rules that are alike become one list of values. A document without a department is in none. */
function coordinatorsByHand(): Reader['byHand'] {
  const denied = numbers(RULES - few.length - 151);
  return {
    where: `(
        department = ANY (?) AND status = 'review'
        OR department = ANY (?) AND status IN ('draft', 'review')
        OR owner_id = ANY (?::uuid[])
      ) AND status <> 'archived' AND owner_id <> ALL (?::uuid[])
      AND (department IS NULL OR status <> 'draft' OR department <> ALL (?))`,
    bindings: [
      numbers(60).map(departmentOf),
      numbers(40).map((n) => departmentOf(60 + n)),
      numbers(50).map(ownerId),
      denied.filter((n) => n % 2 === 0).map((n) => ownerId(1000 + n)),
      denied.filter((n) => n % 2 === 1).map(departmentOf),
    ],
  };
}

function snapshotOf(rules: Partial<Rule>[]): Snapshot {
  const types = builtInTypes.map((type) =>
    type.type === 'user'
      ? { ...type, attributes: { ...type.attributes, department: { type: 'string' as const } } }
      : type,
  );
  const names = [...new Set(rules.flatMap(({ role }) => role ?? []))];
  const { snapshot, problems } = compile(
    {
      resourceTypes: [...types, document],
      roles: names.map((key) => ({ key, name: '', description: '', inherits: [] })),
      rules: rules.map((rule, index) => ({ ...template, id: `rule-${index}`, ...rule })),
      cases: [],
      routes: [],
      cedar: [],
    },
    { revision: 1, evaluators: evaluatorNames },
  );
  if (!snapshot) throw new Error(`the rules do not compile: ${JSON.stringify(problems[0])}`);
  if (snapshot.rules.size !== RULES) throw new Error(`${snapshot.rules.size} rules, not ${RULES}`);
  return snapshot;
}

const template = {
  action: 'read',
  subject: 'document',
  inverted: false,
  priority: 0,
  enabled: true,
  validFrom: null,
  validUntil: null,
};

function departmentOf(n: number): string {
  return `department-${n}`;
}

function ownerId(n: number): string {
  return `00000000-0000-4000-9000-${n.toString(16).padStart(12, '0')}`;
}
