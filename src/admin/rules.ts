/** /admin/rules: the rules of the policy, each change a revision. */
import { randomBytes } from 'node:crypto';
import Joi from 'joi';
import { endpoint, type GuardedCall, type GuardedEndpoint, type LoadCall } from '../enforcement/access.ts';
import { showReadable } from '../enforcement/mask.ts';
import { tableCheck } from '../enforcement/table-check.ts';
import { AppError, type Problem, policyInvalid } from '../errors.ts';
import { pageKeys } from '../http/page.ts';
import { checkRule } from '../policy/check-rule.ts';
import { checkTables } from '../policy/compile.ts';
import { changedKeys } from '../policy/diff.ts';
import { RuleRow, toRule } from '../policy/models.ts';
import { type Policy, type Rule, ruleAttributes } from '../policy/policy.ts';
import { ruleId } from '../policy/policy-document.ts';
import { locateInPart } from '../policy/publish.ts';
import { ruleSchema, shapeRule } from '../policy/rule-schema.ts';
import type { Services } from '../services.ts';
import type { Transaction } from '../storage/postgres.ts';
import { impactOf } from './impact.ts';
import { listReadable, type ReadablePage } from './list-readable.ts';
import { withoutRowKeys, writtenKeys } from './policy-parts.ts';
import { changeQuery, etagOf, publishChange, requireVersionOf } from './publish-change.ts';
import { admitted } from './under-lock.ts';

const path = '/api/v1/admin/rules';
const params = Joi.object({ id: Joi.string().max(100).required() });
const shape = ruleSchema.keys({
  version: Joi.number().integer(),
  createdAt: Joi.date().iso(),
  updatedAt: Joi.date().iso(),
});
const problemShape = Joi.object({
  pointer: Joi.string().allow(''),
  code: Joi.string(),
  message: Joi.string(),
  suggestion: Joi.string(),
});
const reply = { status: 200, description: 'The rule, its version as ETag', shape };
const writeErrors = [
  'policy_invalid',
  'privilege_escalation',
  'policy_locks_out',
  'stale_version',
  'conflict',
  'cases_broken',
] as const;

interface RuleFilter extends ReadablePage {
  role?: string;
  subject?: string;
  action?: string;
  enabled?: boolean;
}

const filters = Joi.object({
  ...pageKeys,
  role: Joi.string(),
  subject: Joi.string(),
  action: Joi.string(),
  enabled: Joi.boolean(),
});

/** What is asked of a rule: the rule as a resource. */
const question = (action: string) => ({ action, resource: 'castellan.rule' });

export function ruleEndpoints(services: Services): GuardedEndpoint[] {
  const { db } = services;
  const load = async ({ params: { id = '' } }: LoadCall) => {
    const row = await RuleRow.query(db).findById(id);
    return row && ruleAttributes(toRule(row));
  };
  // Of what is changed, what this node knows will do: it is decided on again as it is under the lock.
  const loadKnown = (call: LoadCall) => {
    const known = services.live.snapshot.rules.get(call.params['id'] ?? '');
    return known ? ruleAttributes(known.source) : load(call);
  };
  return [
    endpoint<undefined, RuleFilter>({
      method: 'get',
      path,
      summary: 'List rules',
      access: question('read'),
      query: filters,
      reply: {
        status: 200,
        description: 'A page',
        shape: Joi.object({ items: Joi.array().items(shape), nextCursor: Joi.string().allow(null) }),
      },
      handle: async (call) => ({ status: 200, body: await listRules(services, call) }),
    }),
    endpoint({
      method: 'post',
      path,
      summary: 'Add a rule',
      query: changeQuery,
      bodyShape: ruleSchema,
      access: {
        ...question('create'),
        load: ({ body }) => ruleAttributes(accepted(services, body)),
        writes: writtenKeys,
      },
      reply: { ...reply, status: 201 },
      errors: writeErrors,
      handle: (call) => addRule(services, call),
    }),
    endpoint({
      method: 'post',
      path: `${path}/validate`,
      summary: 'Check a rule without writing it',
      bodyShape: ruleSchema,
      access: question('read'),
      reply: {
        status: 200,
        description: 'Whether it would be accepted, every problem, and whom it would concern',
        shape: Joi.object({
          valid: Joi.boolean(),
          problems: Joi.array().items(problemShape),
          impact: Joi.object({ roles: Joi.array().items(Joi.string()), accounts: Joi.number() })
            .unknown(true)
            .allow(null),
        }),
      },
      handle: (call) => validateRule(services, call),
    }),
    endpoint({
      method: 'get',
      path: `${path}/:id`,
      summary: 'Read a rule',
      params,
      access: { ...question('read'), load },
      reply,
      handle: (call) => answerRule(services, call, call.params.id ?? '', 200),
    }),
    endpoint({
      method: 'put',
      path: `${path}/:id`,
      summary: 'Replace a rule',
      query: changeQuery,
      params,
      bodyShape: ruleSchema,
      access: { ...question('update'), load: loadKnown },
      reply,
      errors: writeErrors,
      handle: (call) => changeRule(services, call, (_, body) => body),
    }),
    endpoint({
      method: 'patch',
      path: `${path}/:id`,
      summary: 'Change parts of a rule; null takes a part away (RFC 7396, one level)',
      query: changeQuery,
      params,
      bodyShape: Joi.object().unknown(true),
      access: { ...question('update'), load: loadKnown },
      reply,
      errors: writeErrors,
      handle: (call) => changeRule(services, call, (rule, body) => ({ ...rule, ...withoutRowKeys(body) })),
    }),
    endpoint({
      method: 'delete',
      path: `${path}/:id`,
      summary: 'Remove a rule',
      query: changeQuery,
      params,
      access: { ...question('delete'), load: loadKnown },
      reply: { status: 204, description: 'It is gone' },
      errors: writeErrors,
      handle: (call) => removeRule(services, call),
    }),
  ];
}

async function listRules(services: Services, call: GuardedCall<unknown, RuleFilter>) {
  const { role, subject, action, enabled } = call.query;
  const query = RuleRow.query(services.db);
  if (role !== undefined) query.where('roleKey', role);
  if (enabled !== undefined) query.where({ enabled });
  if (subject !== undefined) query.whereRaw('subject @> to_jsonb(?::text)', [subject]);
  if (action !== undefined) query.whereRaw('action @> to_jsonb(?::text)', [action]);
  return listReadable(services, call, {
    page: (after, size) => {
      const page = query.clone().orderBy('id').limit(size);
      return after === undefined ? page : page.where('id', '>', after);
    },
    nameOf: ({ id }) => id,
    resource: 'castellan.rule',
    attributesOf: (row) => ruleAttributes(toRule(row)),
    present: (row) => present(services, call, row),
  });
}

/** The rule as the caller may read it. */
function present(
  { decisions, gatekeeper }: Services,
  { req, context: { snapshot } }: Pick<GuardedCall, 'req' | 'context'>,
  row: RuleRow,
) {
  const rule = toRule(row);
  const request = gatekeeper.accessRequest(req, snapshot, question('read'), ruleAttributes(rule));
  const { version, createdAt, updatedAt } = row;
  return showReadable(decisions, snapshot, request, { ...rule, version, createdAt, updatedAt });
}

async function answerRule(services: Services, call: GuardedCall, id: string, status: number) {
  const row = await RuleRow.query(services.db).findById(id);
  if (!row) throw new AppError('not_found');
  return {
    status,
    body: await present(services, call, row),
    headers: { ETag: etagOf(row.version), ...(status === 201 && { Location: `${path}/${id}` }) },
  };
}

/** Shape and meaning at once: keys of the wrong shape are left out, so that the meaning of the others is judged too. */
function problemsOf({ live }: Services, body: unknown): { rule: Rule | undefined; problems: Problem[] } {
  const { value, problems } = shapeRule(withoutRowKeys(body));
  const keyOf = ({ pointer }: Problem) => pointer.split('/')[1] ?? '';
  const misshapen = new Set(problems.map(keyOf));
  const sound = Object.fromEntries(
    Object.entries(value).filter(([key]) => !misshapen.has(key)),
  ) as typeof value;
  const { types, roles } = live.snapshot;
  const checked = checkRule(
    { ...sound, action: sound.action ?? [], subject: sound.subject ?? [] },
    { types, roles: new Set(roles.keys()) },
  );
  const found = [...problems, ...checked.problems.filter((problem) => !misshapen.has(keyOf(problem)))];
  if (found.length > 0) return { rule: undefined, problems: found };
  return {
    rule: { ...value, id: value.id ?? ruleId(value, randomBytes(3).toString('hex')) },
    problems: found,
  };
}

/** The rule in a body, with its defaults and an id. Throws `policy_invalid` with every problem. */
function accepted(services: Services, body: unknown): Rule {
  const { rule, problems } = problemsOf(services, body);
  if (!rule) throw policyInvalid(problems);
  return rule;
}

async function validateRule(services: Services, call: GuardedCall) {
  const { rule, problems } = problemsOf(services, call.body);
  const unasked = rule ? unaskedOf(services, rule) : [];
  const valid = rule !== undefined && unasked.length === 0;
  return {
    status: 200,
    body: {
      valid,
      problems: [...problems, ...unasked],
      impact: valid ? await impactOf(services, call, rule) : null,
    },
  };
}

/** What publishing would find beside the meaning of the rule: lists that could not follow it. */
function unaskedOf({ live, sources }: Services, rule: Rule): Problem[] {
  const vocabulary = { types: live.snapshot.types, roles: new Set(live.snapshot.roles.keys()) };
  const { condition } = checkRule(rule, vocabulary);
  return checkTables(rule, condition, vocabulary, tableCheck(sources), '/conditions');
}

async function addRule(services: Services, call: GuardedCall) {
  const { req, res, body } = call;
  const rule = accepted(services, body);
  const change = (policy: Policy) => {
    if (policy.rules.some(({ id }) => id === rule.id))
      throw new AppError('conflict', {
        message: `there is a rule ${rule.id} already`,
        errors: [{ pointer: '/id', message: 'is taken' }],
      });
    return { ...policy, rules: [...policy.rules, rule] };
  };
  await publishChange(services, {
    req,
    res,
    body,
    action: 'rule.create',
    target: { type: 'castellan.rule', id: rule.id },
    change,
    locate: locateInPart('rules', rule.id),
  });
  return answerRule(services, call, rule.id, 201);
}

/** Replaces a rule by what `make` makes of the one that is there, under the lock. */
async function changeRule(
  services: Services,
  call: GuardedCall,
  make: (rule: Rule, body: unknown) => unknown,
) {
  const { req, res, body } = call;
  const { id = '' } = call.params;
  const change = async (policy: Policy, trx: Transaction) => {
    const before = await ruleUnderLock(req, policy, trx, id);
    await services.gatekeeper.requireAllowed(req, res, question('update'), ruleAttributes(before));
    const made = make(before, body);
    const given = withoutRowKeys(made);
    if ('id' in given && given.id !== id)
      throw policyInvalid([{ pointer: '/id', code: 'id', message: `must stay ${id}` }]);
    const after = accepted(services, { ...given, id });
    await services.gatekeeper.requireFields(admitted(req), changedKeys(before, after));
    await services.gatekeeper.requireAllowedAfter(admitted(req), ruleAttributes(after));
    return { ...policy, rules: policy.rules.map((rule) => (rule.id === id ? after : rule)) };
  };
  await publishChange(services, {
    req,
    res,
    body,
    action: 'rule.update',
    target: { type: 'castellan.rule', id },
    change,
    locate: locateInPart('rules', id),
  });
  return answerRule(services, call, id, 200);
}

async function removeRule(services: Services, { req, res, params: { id = '' } }: GuardedCall) {
  const change = async (policy: Policy, trx: Transaction) => {
    const before = await ruleUnderLock(req, policy, trx, id);
    await services.gatekeeper.requireAllowed(req, res, question('delete'), ruleAttributes(before));
    return { ...policy, rules: policy.rules.filter((rule) => rule.id !== id) };
  };
  await publishChange(services, {
    req,
    res,
    action: 'rule.delete',
    target: { type: 'castellan.rule', id },
    change,
  });
  return { status: 204 };
}

/** The rule as it is now that nobody else can change it. Throws `not_found`, `stale_version`. */
async function ruleUnderLock(
  req: GuardedCall['req'],
  policy: Policy,
  trx: Transaction,
  id: string,
): Promise<Rule> {
  const rule = policy.rules.find((found) => found.id === id);
  if (!rule) throw new AppError('not_found');
  await requireVersionOf(req, () => RuleRow.query(trx).findById(id).select('version'));
  return rule;
}
