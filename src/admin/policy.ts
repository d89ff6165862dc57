/** /admin/policy: the policy as a whole: read, exported, imported, put to its cases. */
import Joi from 'joi';
import { caseReports, type ReportFormat } from '../decision/case-reports.ts';
import { runCases } from '../decision/run-cases.ts';
import { endpoint, type GuardedCall, type GuardedEndpoint } from '../enforcement/access.ts';
import { AppError, type Problem, policyInvalid } from '../errors.ts';
import { checkCases } from '../policy/check-cases.ts';
import { parsePolicyYaml } from '../policy/files.ts';
import type { Case } from '../policy/policy.ts';
import { readDocument, toDocument } from '../policy/policy-document.ts';
import { LONGEST_MESSAGE } from '../policy/revisions.ts';
import { policySchema } from '../policy/rule-schema.ts';
import { type PolicyFormat, policyText, schemaUrl } from '../policy/write-files.ts';
import type { Services } from '../services.ts';
import { readableEntities } from './export-entities.ts';
import { type ImportQuery, importPolicy, importQuery } from './import-policy.ts';
import { etagOf } from './publish-change.ts';
import { changeShape, revisionEndpoints } from './revisions.ts';

const path = '/api/v1/admin/policy';
const policy = { resource: 'castellan.policy', load: () => ({}) };

/** A whole policy is larger than any other body. */
export const policyBody = (services: Services) => ({
  limitBytes: services.config.policyLimitBytes,
  parsers: { 'application/yaml': parsePolicyYaml },
});

export const draftShape = policySchema.keys({
  message: Joi.string().allow('').max(LONGEST_MESSAGE),
  remove: Joi.object().unknown(true).description('names of parts to take away, by kind'),
});

const caseResultShape = Joi.object({
  id: Joi.string(),
  name: Joi.string(),
  passed: Joi.boolean(),
  expected: Joi.string(),
  got: Joi.string(),
  rule: Joi.string().allow(null),
  message: Joi.string(),
});

export function policyEndpoints(services: Services): GuardedEndpoint[] {
  return [
    endpoint({
      method: 'get',
      path,
      summary: 'Read the whole policy; its revision as ETag',
      access: { action: 'read', ...policy },
      reply: { status: 200, description: 'The policy as one document', shape: policySchema },
      handle: ({ context: { snapshot } }) => ({
        status: 200,
        body: toDocument(snapshot.policy),
        headers: { ETag: etagOf(snapshot.revision) },
      }),
    }),
    endpoint<undefined, { format: PolicyFormat; entities: boolean }>({
      method: 'get',
      path: `${path}/export`,
      summary: 'The policy as a file; imported again it changes nothing',
      access: { action: 'read', ...policy },
      query: Joi.object({
        format: Joi.string().valid('yaml', 'json').default('yaml'),
        entities: Joi.boolean()
          .default(false)
          .description('with all entities, for those who may read each of them'),
      }),
      reply: { status: 200, description: 'YAML or JSON', shape: Joi.string() },
      handle: (call) => exportPolicy(services, call),
    }),
    endpoint<unknown, ImportQuery>({
      method: 'post',
      path: `${path}/import`,
      summary: 'Merge a policy document into the policy, or put it in its place: one revision or none',
      query: importQuery,
      bodyShape: draftShape,
      bodyOptions: policyBody(services),
      access: { action: 'update', ...policy },
      reply: { status: 200, description: 'What it changed, or would change', shape: changeShape },
      errors: [
        'policy_invalid',
        'cases_broken',
        'privilege_escalation',
        'policy_locks_out',
        'role_in_use',
        'resource_type_in_use',
        'stale_version',
      ],
      handle: (call) => importPolicy(services, call),
    }),
    endpoint<{ cases?: unknown[] }, { format: ReportFormat }>({
      method: 'post',
      path: `${path}/cases/run`,
      summary: 'Put cases to the policy in force: those sent, or those stored with it',
      body: Joi.object({ cases: Joi.array().max(10_000).description('left out: those stored') }),
      query: Joi.object({ format: Joi.string().valid('json', 'junit', 'tap').default('json') }),
      access: { action: 'read', ...policy },
      reply: {
        status: 200,
        description: 'How each went',
        shape: Joi.object({
          revision: Joi.number(),
          passed: Joi.number(),
          failed: Joi.number(),
          results: Joi.array().items(caseResultShape),
        }),
      },
      errors: ['policy_invalid'],
      handle: (call) => answerCases(services, call),
    }),
    ...revisionEndpoints(services),
  ];
}

async function exportPolicy(
  services: Services,
  call: GuardedCall<undefined, { format: PolicyFormat; entities: boolean }>,
) {
  const { format, entities: isAsked } = call.query;
  const { policy, revision } = call.context.snapshot;
  const entities = isAsked ? await readableEntities(services, call) : [];
  return {
    status: 200,
    text: {
      type: format === 'json' ? 'application/json' : 'application/yaml',
      content: policyText(policy, format, schemaUrl(services.config.publicUrl), { entities }),
    },
    headers: {
      ETag: etagOf(revision),
      'Content-Disposition': `attachment; filename="policy-${revision}.${format}"`,
    },
  };
}

async function answerCases(
  { decisionsAt }: Services,
  {
    body,
    query: { format },
    context: { snapshot },
  }: GuardedCall<{ cases?: unknown[] }, { format: ReportFormat }>,
) {
  const cases = body.cases === undefined ? snapshot.policy.cases : readCases(body.cases);
  const problems = checkCases({ ...snapshot.policy, cases }, snapshot.types, snapshot.roles);
  if (problems.length > 0) throw policyInvalid(problems);
  const results = await runCases(cases, snapshot, decisionsAt);
  if (format !== 'json') return { status: 200, text: caseReports[format](results) };
  const failed = results.filter(({ passed }) => !passed).length;
  const { revision } = snapshot;
  return { status: 200, body: { revision, passed: results.length - failed, failed, results } };
}

function readCases(given: unknown): Case[] {
  if (!Array.isArray(given)) {
    const problem: Problem = { pointer: '/cases', code: 'shape', message: 'must be a list of cases' };
    throw policyInvalid([problem]);
  }
  const read = readDocument({ version: 1, cases: given });
  if (read.problems.length > 0) throw policyInvalid(read.problems);
  if (read.policy.cases.length > 10_000)
    throw new AppError('invalid_request', { message: 'at most 10,000 cases are run at once' });
  return read.policy.cases;
}
