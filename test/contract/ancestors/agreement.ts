/** One scene of a search: entities, rules, somebody who asks. What PostgreSQL finds and the decisions are held against each other. */
import type { Knex } from 'knex';
import { resourceSources } from '../../../src/authzen/resource-candidates.ts';
import { cleanAncestors, principalOf, resourceOf } from '../../../src/decision/access-request.ts';
import { decisionPoint } from '../../../src/decision/decide.ts';
import { readEntities } from '../../../src/decision/entities.ts';
import { caslEvaluator } from '../../../src/evaluators/casl.ts';
import { makeAbility } from '../../../src/policy/ability.ts';
import { builtInTypes } from '../../../src/policy/built-in.ts';
import { compile } from '../../../src/policy/compile.ts';
import type { ResourceType, Rule } from '../../../src/policy/policy.ts';
import { declared, type Node, type Scene, words } from './random-scenes.ts';

const types = Object.entries(declared).map(([type, attributes]): ResourceType => {
  const rest = { description: '', actions: ['read', 'update'], source: null, evaluator: 'casl' };
  return { type, attributes, ...rest };
});

const ours = builtInTypes.map((type) =>
  type.type === 'user' ? { ...type, attributes: { ...type.attributes, ...words } } : type,
);

/** The tables of entities, for types that no policy in the database has. */
export async function openToAnyType(db: Knex): Promise<void> {
  await db.raw('ALTER TABLE entities DROP CONSTRAINT entities_type_fkey');
}

/** Replaces what is stored. */
export async function putNodes(db: Knex, nodes: readonly Node[]): Promise<void> {
  await db('entity_parents').delete();
  await db('entities').delete();
  const rows = nodes.map(({ type, id, attributes }) => ({
    type,
    id,
    attributes: JSON.stringify(attributes),
  }));
  await db('entities').insert(rows);
  const parents = nodes.flatMap(({ type, id, parents: above }) =>
    above.map((parent) => {
      const [parent_type, parent_id] = parent.split(':');
      return { type, id, parent_type, parent_id };
    }),
  );
  if (parents.length > 0) await db('entity_parents').insert(parents);
}

export interface Agreement {
  /** Every file on which the search and the decision differ, in words. */
  differing: string[];
  allowed: number;
  denied: number;
}

/** Whether SQL is asked all of the rules; then it finds no more than is allowed. */
function isAsked({ rules }: Scene): boolean {
  return !/"dates"|"ancestors\.|"ancestors":\{"\$size"/.test(JSON.stringify(rules));
}

/** Undefined: a rule that may not be written. */
export async function agreementOf(db: Knex, scene: Scene): Promise<Agreement | undefined> {
  const rules = scene.rules.map((rule, index) => ({ ...ruleDefaults, id: `r${index}`, ...rule }) as Rule);
  const { snapshot } = compile(
    { resourceTypes: [...ours, ...types], roles: [], rules, cases: [], routes: [], cedar: [] },
    { revision: 1, evaluators: ['casl'] },
  );
  const type = snapshot?.types.get('file');
  if (!snapshot || !type) return undefined;
  const principal = principalOf(
    {
      type: 'robot',
      id: 'r1',
      roles: [],
      attributes: { ...scene.principal.attributes, id: 'r1' },
      ancestors: cleanAncestors(scene.principal.ancestors, snapshot).ancestors,
      accessVersion: 1,
    },
    snapshot.types.get('robot'),
  );
  const ability = makeAbility(snapshot, principal, Date.now());
  const decisions = decisionPoint({
    evaluators: new Map([['casl', caslEvaluator({ abilityOf: () => ability })]]),
    record: () => undefined,
  });
  const nothing = { type: '', attributes: Object.create(null), misfits: [] };
  const request = { principal, action: { name: 'read' }, resource: nothing, context: Object.create(null) };
  const services = { db, sources: new Map(), abilityOf: async () => ability };
  const [source] = await resourceSources(services, { snapshot, type, request, tests: [] });
  const first = await source?.next(undefined, 1000);
  // The first are looked at as they are; then it is the SQL of the rules that says which.
  const found = new Set(await source?.next(undefined, 1000));
  const names = scene.nodes.filter((node) => node.type === 'file');
  const known = await readEntities(db, snapshot, names);
  const result: Agreement = { differing: [], allowed: 0, denied: 0 };
  for (const { id, attributes } of names) {
    const { ancestors, misfits = [] } = known(`file:${id}`) ?? {};
    const resource = resourceOf(type, { ...attributes, id }, ancestors);
    const doubt = misfits.length > 0 ? { doubt: 'its ancestors' } : {};
    const { allow } = await decisions.decide(snapshot, { ...request, resource, ...doubt });
    if (allow) result.allowed++;
    else result.denied++;
    if (allow && !first?.includes(id)) result.differing.push(`${id} is not looked at`);
    if (allow && !found.has(id)) result.differing.push(`${id} is lost`);
    const isInDoubt = misfits.length > 0 || resource.misfits.length > 0;
    if (!allow && found.has(id) && isAsked(scene) && !isInDoubt) result.differing.push(`${id} is denied`);
  }
  return result;
}

const ruleDefaults = {
  role: 'everyone',
  action: 'read',
  subject: 'file',
  inverted: false,
  priority: 0,
  enabled: true,
  validFrom: null,
  validUntil: null,
};
