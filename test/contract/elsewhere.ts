/** Policy cases for another decision point: another Castellan, which has the rules of a file and decides by casl. */
import { vocabularyOf } from '../../src/admin/change-entity.ts';
import { makeEvaluators } from '../../src/evaluators/index.ts';
import { remotePoint } from '../../src/evaluators/remote/decision-point.ts';
import { makeAbility } from '../../src/policy/ability.ts';
import { ACCOUNT_TYPE } from '../../src/policy/built-in.ts';
import type { Entity } from '../../src/policy/entity.ts';
import type { Policy, ResourceType } from '../../src/policy/policy.ts';
import { publish } from '../../src/policy/publish.ts';
import { putEntities } from '../../src/policy/put-entities.ts';
import { startGateway, type TestGateway } from '../harness.ts';
import { type Case, type CaseFile, policyOf } from './case-files.ts';
import type { Opened } from './evaluators-under-test.ts';

/** Accounts are known by UUIDs, and each Castellan has its own: who asks is of this type instead, kept as an entity. */
const PERSON = 'person';

function withPersons(file: CaseFile): CaseFile {
  const { attributes = {} } = file.resourceTypes.find(({ type }) => type === ACCOUNT_TYPE) ?? {};
  const person: ResourceType = {
    type: PERSON,
    description: '',
    actions: [],
    attributes: { id: { type: 'string' }, ...attributes },
    source: null,
    evaluator: 'casl',
  };
  return {
    ...file,
    // Rules may ask for the attributes of principals that `user` has; a person has them as well.
    resourceTypes: [...file.resourceTypes, person],
    rules: file.rules.map(({ principal, ...rule }) => ({
      ...rule,
      ...(principal !== undefined && { principal: principal.replace(/^user:/, `${PERSON}:`) }),
    })),
  };
}

/** What the gateway that asks has: neither rules nor roles, so that nothing here could allow. */
export function nearPolicyOf(file: CaseFile): Policy {
  return { ...policyOf(withPersons(file), 'authzen-remote'), rules: [], roles: [] };
}

/** The case with a `person` for the `user`. */
export function asKnownElsewhere(asked: Case): Case {
  const { principal } = asked;
  return principal === 'anonymous' ? asked : { ...asked, principal: { type: PERSON, ...principal } };
}

/** What does not travel. */
export function whyNotElsewhere({ at, resource, principal }: Case): string | undefined {
  if (at !== undefined) return 'is asked at an instant of its own, and the other has its own clock';
  if (resource.type === ACCOUNT_TYPE) return 'is about an account, and each Castellan has its own';
  const { type = ACCOUNT_TYPE, roles = [] } = principal === 'anonymous' ? {} : principal;
  return type !== ACCOUNT_TYPE && type !== 'anonymous' && roles.length > 0
    ? `has roles, and ${type} is no type that could be stored with them`
    : undefined;
}

/** A gateway that is asked over HTTP, one for all files. */
export async function startElsewhere(): Promise<Opened> {
  const gateway = await startGateway({ env: { AUTHZEN_PUBLIC: 'true' } });
  const { db, live } = gateway.services;
  // The demo's people would keep the demo's roles from going.
  await db('role_assignments').delete();
  const none = { authorization: undefined, caFile: undefined, certFile: undefined, keyFile: undefined };
  const settings = { url: gateway.url, timeoutMs: 5000, rolesProperty: 'roles', ...none };
  const remote = remotePoint(settings);
  const evaluators = makeEvaluators({
    remote,
    abilityOf: (under, principal) => makeAbility(under, principal, Date.now()),
  });
  let isAnybodyStored = false;
  const keepOnly = async (people: People) => {
    if (isAnybodyStored || people.length > 0) await store(gateway, people);
    isAnybodyStored = people.length > 0;
  };
  return {
    evaluatorAt: () => {
      const found = evaluators.get('authzen-remote');
      if (!found) throw new Error('authzen-remote is no evaluator');
      return found;
    },
    take: async (file) => {
      await keepOnly([]);
      const policy = policyOf(withPersons(file), 'casl');
      await publish({ db, live, author: { id: null, name: 'test' }, change: () => policy });
    },
    know: ({ principal }) => {
      // Roles that are sent are not believed: whoever has some is stored with them.
      const { id = '', roles = [] } = principal === 'anonymous' ? {} : principal;
      const held = roles.filter((role) => live.snapshot.roles.has(role));
      return keepOnly(held.length > 0 ? [{ type: PERSON, id, roles: held }] : []);
    },
    close: async () => {
      remote.close();
      await gateway.close();
    },
  };
}

type People = readonly Pick<Entity, 'type' | 'id' | 'roles'>[];

/** These people and nobody else. */
async function store({ services }: TestGateway, people: People): Promise<void> {
  const vocabulary = vocabularyOf(services, services.live.snapshot);
  const given = people.map((one, index) => ({
    entity: { attributes: {}, parents: [], ...one },
    pointer: `/${index}`,
  }));
  await services.db.transaction((trx) => putEntities(trx, given, { mode: 'replace', vocabulary }));
  // As the node that answers a change does at once; the others hear of it.
  services.entities.forgetAll();
}
