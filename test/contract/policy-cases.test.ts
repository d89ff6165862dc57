/** Policies and what they must decide, as data: every file of cases/, decided by rules. How Cedar decides the same: cedar-export.test.ts. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Joi from 'joi';
import { parse } from 'yaml';
import { type AccessRequest, anonymous, principalOf, resourceOf } from '../../src/decision/access-request.ts';
import type { Evaluator } from '../../src/decision/evaluator.ts';
import { evaluatorNames, makeEvaluators } from '../../src/evaluators/index.ts';
import { makeAbility, type Principal } from '../../src/policy/ability.ts';
import { canonical } from '../../src/policy/attributes.ts';
import { ACCOUNT_TYPE, builtInTypes, contextFacts } from '../../src/policy/built-in.ts';
import { compile } from '../../src/policy/compile.ts';
import type { Policy, ResourceType, Rule } from '../../src/policy/policy.ts';
import { shapeResourceType, shapeRole, shapeRule } from '../../src/policy/rule-schema.ts';
import type { Snapshot } from '../../src/policy/snapshot.ts';

interface Case {
  name: string;
  /** `anonymous`, or who asks; a `user` unless it says otherwise. */
  principal: 'anonymous' | { id: string; type?: string; roles?: string[]; attributes?: object };
  action: string;
  properties?: Record<string, unknown>;
  resource: { type: string } & Record<string, unknown>;
  context?: Record<string, unknown>;
  /** The instant it is asked at. */
  at: string;
  expect: 'allow' | 'deny';
  /** The rule that settles it; null: none does. */
  rule?: string | null;
  /** Each field, and whether the request may touch it. */
  fields?: Record<string, boolean>;
  /** Whether the principal could do the action to some resource of the type. */
  possible?: boolean;
}

interface CaseFile {
  resourceTypes: unknown[];
  roles: unknown[];
  rules: unknown[];
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
  at: Joi.string().isoDate().default('2026-06-01T12:00:00Z'),
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

/** A misspelt key in a case must fail, not be passed over. */
function readCases(file: string): CaseFile {
  const { value, error } = fileSchema.validate(parse(readFileSync(file, 'utf8')), { convert: false });
  assert.equal(error, undefined, `${file}: ${error?.message}`);
  return value;
}

/** The policy of a file; the type `user` adds to the built-in one, and `evaluator` decides about all the others. */
function policyOf({ resourceTypes, roles, rules }: CaseFile, evaluator: string): Policy {
  const shaped =
    <T>(shape: (input: unknown) => { value: T; problems: unknown[] }) =>
    (input: unknown): T => {
      const { value, problems } = shape(input);
      assert.deepEqual(problems, []);
      return value;
    };
  const types = resourceTypes
    .map(shaped<ResourceType>(shapeResourceType))
    .map((type) => ({ ...type, evaluator }));
  const account = types.find(({ type }) => type === ACCOUNT_TYPE);
  return {
    resourceTypes: [
      ...builtInTypes.map((type) =>
        type.type === ACCOUNT_TYPE
          ? { ...type, attributes: { ...type.attributes, ...account?.attributes } }
          : type,
      ),
      ...types.filter((type) => type !== account),
    ],
    roles: roles.map(shaped(shapeRole)),
    rules: rules.map(shaped<Rule>(shapeRule)),
    cases: [],
    routes: [],
    cedar: [],
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

function requestIn(snapshot: Snapshot, asked: Case): AccessRequest {
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

async function check(evaluator: Evaluator, snapshot: Snapshot, asked: Case): Promise<void> {
  const request = requestIn(snapshot, asked);
  const verdict = await evaluator.evaluate(snapshot, request);
  assert.equal(verdict.allow ? 'allow' : 'deny', asked.expect);
  if (asked.rule !== undefined) assert.equal(verdict.ruleId, asked.rule);
  if (asked.fields) {
    const names = Object.keys(asked.fields);
    const permitted = await evaluator.permittedFields(snapshot, request, names);
    assert.deepEqual(Object.fromEntries(names.map((name) => [name, permitted.has(name)])), asked.fields);
  }
  if (asked.possible !== undefined) {
    const { principal, action, resource } = request;
    assert.equal(await evaluator.possible(snapshot, principal, action.name, resource.type), asked.possible);
  }
}

const folder = join(import.meta.dirname, 'cases');

for (const file of readdirSync(folder).filter((name) => name.endsWith('.yaml'))) {
  const cases = readCases(join(folder, file));
  for (const name of evaluatorNames.filter((one) => one === 'casl')) {
    describe(`policy cases of ${file}, decided by ${name}`, () => {
      const { snapshot, problems } = compile(policyOf(cases, name), {
        revision: 1,
        evaluators: evaluatorNames,
      });

      it('have a policy that compiles', () => assert.deepEqual(problems, undefined));

      it('allow something and deny something: a case file that only knows one answer proves nothing', () => {
        assert.deepEqual(new Set(cases.cases.map(({ expect }) => expect)), new Set(['allow', 'deny']));
      });

      for (const asked of cases.cases) {
        it(`${asked.expect}: ${asked.name}`, async () => {
          assert.ok(snapshot);
          const evaluators = makeEvaluators({
            abilityOf: (under, principal) => makeAbility(under, principal, Date.parse(asked.at)),
          });
          await check(evaluators.get(name) ?? assert.fail(`${name} is in the table`), snapshot, asked);
        });
      }
    });
  }
}
