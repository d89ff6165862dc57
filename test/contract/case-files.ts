/** Files of policy cases: a policy, and what must be decided by it. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Joi from 'joi';
import { parse } from 'yaml';
import { type AccessRequest, anonymous, principalOf, resourceOf } from '../../src/decision/access-request.ts';
import type { Principal } from '../../src/policy/ability.ts';
import { canonical } from '../../src/policy/attributes.ts';
import { ACCOUNT_TYPE, builtInTypes, contextFacts } from '../../src/policy/built-in.ts';
import type { Policy, ResourceType, Role, Rule } from '../../src/policy/policy.ts';
import { shapeResourceType, shapeRole, shapeRule } from '../../src/policy/rule-schema.ts';
import type { Snapshot } from '../../src/policy/snapshot.ts';

export interface Case {
  name: string;
  /** `anonymous`, or who asks; a `user` unless it says otherwise. */
  principal: 'anonymous' | { id: string; type?: string; roles?: string[]; attributes?: object };
  action: string;
  properties?: Record<string, unknown>;
  resource: { type: string } & Record<string, unknown>;
  context?: Record<string, unknown>;
  /** The instant it is asked at, where that matters. */
  at?: string;
  expect: 'allow' | 'deny';
  /** The rule that settles it; null: none does. */
  rule?: string | null;
  /** Each field, and whether the request may touch it. */
  fields?: Record<string, boolean>;
  /** Whether the principal could do the action to some resource of the type. */
  possible?: boolean;
}

/** Types without the built-in ones; of `user` there are only the attributes that are added to the built-in type. */
export interface CaseFile {
  name: string;
  resourceTypes: ResourceType[];
  roles: Role[];
  rules: Rule[];
  cases: Case[];
}

const object = Joi.object().unknown(true);
const caseSchema = Joi.object({
  name: Joi.string().required(),
  principal: Joi.alternatives(
    Joi.valid('anonymous'),
    Joi.object({
      id: Joi.string().required(),
      type: Joi.string(),
      roles: Joi.array().items(Joi.string()),
      attributes: object,
    }),
  ).required(),
  action: Joi.string().required(),
  properties: object,
  resource: Joi.object({ type: Joi.string().required() }).unknown(true).required(),
  context: object,
  at: Joi.string().isoDate(),
  expect: Joi.valid('allow', 'deny').required(),
  rule: Joi.string().allow(null),
  fields: Joi.object().pattern(Joi.string(), Joi.boolean()),
  possible: Joi.boolean(),
});
const fileSchema = Joi.object({
  resourceTypes: Joi.array().items(object).default([]),
  roles: Joi.array().items(object).default([]),
  rules: Joi.array().items(object).required(),
  cases: Joi.array().items(caseSchema).min(1).unique('name').required(),
});

const folder = join(import.meta.dirname, 'cases');

/** All files of `cases/`, in their order. */
export function readCaseFiles(): CaseFile[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .sort()
    .map(readCaseFile);
}

/** A misspelt key in a case must fail, not be passed over. */
function readCaseFile(name: string): CaseFile {
  const text = readFileSync(join(folder, name), 'utf8');
  const { value, error } = fileSchema.validate(parse(text), { convert: false });
  assert.equal(error, undefined, `${name}: ${error?.message}`);
  return {
    name,
    resourceTypes: value.resourceTypes.map(shaped<ResourceType>(shapeResourceType)),
    roles: value.roles.map(shaped<Role>(shapeRole)),
    rules: value.rules.map(shaped<Rule>(shapeRule)),
    cases: value.cases,
  };
}

function shaped<T>(shape: (input: unknown) => { value: T; problems: unknown[] }) {
  return (input: unknown): T => {
    const { value, problems } = shape(input);
    assert.deepEqual(problems, []);
    return value;
  };
}

/** The policy of a file; `evaluator` decides about all types but the built-in ones. */
export function policyOf({ resourceTypes, roles, rules }: CaseFile, evaluator: string): Policy {
  const account = resourceTypes.find(({ type }) => type === ACCOUNT_TYPE);
  const types = resourceTypes.filter((type) => type !== account).map((type) => ({ ...type, evaluator }));
  const builtIn = builtInTypes.map((type) =>
    type.type === ACCOUNT_TYPE
      ? { ...type, attributes: { ...type.attributes, ...account?.attributes } }
      : type,
  );
  return { resourceTypes: [...builtIn, ...types], roles, rules, cases: [], cedar: [], routes: [] };
}

/** The request of a case, as it is asked under a snapshot. */
export function requestIn(snapshot: Snapshot, asked: Case): AccessRequest {
  const { type: name, ...attributes } = asked.resource;
  const type = snapshot.types.get(name) ?? assert.fail(`${name} is no type of the policy`);
  const resource = resourceOf(type, attributes);
  assert.deepEqual(resource.misfits, [], 'the resource of a case fits its type');
  const facts = Object.entries(asked.context ?? {}).map(([fact, value]) => [
    fact,
    canonical(value, contextFacts[fact]?.type),
  ]);
  return {
    principal: principalIn(snapshot, asked),
    action: { name: asked.action, ...(asked.properties && { properties: asked.properties }) },
    resource,
    context: Object.assign(Object.create(null), Object.fromEntries(facts)),
  };
}

function principalIn(snapshot: Snapshot, { principal }: Case): Principal {
  if (principal === 'anonymous') return anonymous;
  const type = principal.type ?? ACCOUNT_TYPE;
  return principalOf(
    { roles: [], attributes: {}, accessVersion: 1, ...principal, type },
    snapshot.types.get(type),
  );
}
