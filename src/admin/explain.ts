/** `POST /admin/policy/explain`: a decision as it would be, and why. */
import Joi from 'joi';
import { explain } from '../decision/explain.ts';
import { questionProblems, requestOfQuestion } from '../decision/question.ts';
import { endpoint, type GuardedCall, type GuardedEndpoint } from '../enforcement/access.ts';
import { AppError } from '../errors.ts';
import { explainCedar } from '../evaluators/explain-cedar.ts';
import { questionSchema } from '../policy/case-schema.ts';
import type { Question } from '../policy/policy.ts';
import type { Services } from '../services.ts';
import { fillStored } from './fill-stored.ts';

type Asked = Question & { at?: Date };

const failureShape = Joi.object({
  in: Joi.string().valid('conditions', 'when'),
  path: Joi.string(),
  operator: Joi.string(),
  expected: Joi.any(),
  found: Joi.any(),
  unresolved: Joi.string(),
  negated: Joi.boolean(),
  alternative: Joi.number(),
});

export const explanationShape = Joi.object({
  decision: Joi.object({
    allow: Joi.boolean(),
    reason: Joi.string(),
    ruleId: Joi.string().allow(null),
    revision: Joi.number().integer(),
  }),
  principal: Joi.object().unknown(true),
  action: Joi.object().unknown(true),
  resource: Joi.object().unknown(true),
  context: Joi.object().unknown(true),
  rules: Joi.array().items(
    Joi.object({
      id: Joi.string(),
      effect: Joi.string().valid('allow', 'deny'),
      outcome: Joi.string().valid(
        'settles',
        'outranked',
        'not_met',
        'not_held',
        'outside_window',
        'disabled',
      ),
      failures: Joi.array().items(failureShape),
    }).unknown(true),
  ),
  nearest: Joi.array().items(Joi.object({ ruleId: Joi.string(), lacks: Joi.array().items(Joi.string()) })),
  cedar: Joi.object({
    determining: Joi.array().items(
      Joi.object({
        id: Joi.string(),
        effect: Joi.string().valid('permit', 'forbid'),
        reason: Joi.string(),
      }),
    ),
    errors: Joi.array().items(Joi.object({ id: Joi.string().allow(null), message: Joi.string() })),
  }).description('where Cedar decides'),
  summary: Joi.array().items(Joi.string()),
});

export function explainEndpoints(services: Services): GuardedEndpoint[] {
  return [
    endpoint<Asked>({
      method: 'post',
      path: '/api/v1/admin/policy/explain',
      summary: 'What would be decided, by which rule, and what keeps every other rule from it',
      access: { action: 'read', resource: 'castellan.policy', load: () => ({}) },
      body: questionSchema.keys({ at: Joi.date().iso().description('left out: now') }),
      reply: {
        status: 200,
        description: 'The decision and every rule that could have settled it',
        shape: explanationShape.keys({
          fields: Joi.object().pattern(Joi.string(), Joi.boolean()),
          stored: Joi.object({ principal: Joi.boolean(), resource: Joi.boolean() }),
        }),
      },
      errors: ['access_denied'],
      handle: (call) => explainQuestion(services, call),
    }),
  ];
}

async function explainQuestion(services: Services, call: GuardedCall<Asked>) {
  const { snapshot } = call.context;
  const { at = new Date(), ...asked } = call.body;
  refuseUnknown(asked, call);
  const { question, stored } = await fillStored(services, call, asked);
  const request = requestOfQuestion(question, snapshot, at.getTime());
  const point = services.decisionsAt(at.getTime());
  const decision = await point.decide(snapshot, request);
  const names = Object.keys(snapshot.types.get(request.resource.type)?.attributes ?? {});
  const permitted = await point.permittedFields(snapshot, request, names);
  const fields = Object.fromEntries(names.map((name) => [name, permitted.has(name)]));
  const explained = explain(snapshot, request, decision, at.getTime(), explainCedar(snapshot, request));
  return { status: 200, body: { ...explained, fields, stored } };
}

/** Throws `invalid_request` for each name that the policy does not know. */
function refuseUnknown(question: Question, { context: { snapshot } }: GuardedCall<Asked>): void {
  const errors = questionProblems(question, snapshot);
  if (errors.length > 0)
    throw new AppError('invalid_request', {
      message: errors.map(({ pointer, message }) => `${pointer} ${message}`).join('; '),
      errors,
    });
}
