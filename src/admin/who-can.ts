/** `POST /admin/policy/who-can`: the accounts that may do an action to a resource, now. */
import Joi from 'joi';
import { type AccountFacts, accountPrincipal } from '../decision/principals.ts';
import { questionProblems, requestOfQuestion } from '../decision/question.ts';
import { endpoint, type GuardedCall, type GuardedEndpoint } from '../enforcement/access.ts';
import { AppError } from '../errors.ts';
import { questionSchema } from '../policy/case-schema.ts';
import type { Question } from '../policy/policy.ts';
import type { Services } from '../services.ts';
import { eachActiveAccount } from './each-account.ts';
import { fillStored } from './fill-stored.ts';
import { presentPrincipal } from './present-principal.ts';

type Asked = Omit<Question, 'principal'>;

const MOST_LISTED = 1000;

const whoShape = Joi.object({
  revision: Joi.number().integer(),
  accounts: Joi.object({
    total: Joi.number(),
    examined: Joi.number(),
    sampled: Joi.boolean(),
    allowed: Joi.number(),
  }),
  items: Joi.array().items(Joi.object({ principal: Joi.object().unknown(true), ruleId: Joi.string() })),
});

export function whoCanEndpoints(services: Services): GuardedEndpoint[] {
  return [
    endpoint<Asked>({
      method: 'post',
      path: '/api/v1/admin/policy/who-can',
      summary: 'The active accounts that may do an action to a resource, and the rule that lets each',
      access: { action: 'read', resource: 'castellan.policy', load: () => ({}) },
      body: questionSchema.fork('principal', () => Joi.forbidden()),
      reply: { status: 200, description: 'Those whom the caller may read', shape: whoShape },
      errors: ['access_denied'],
      handle: (call) => whoCan(services, call),
    }),
  ];
}

async function whoCan(services: Services, call: GuardedCall<Asked>) {
  const { snapshot } = call.context;
  const asked: Question = { ...call.body, principal: 'anonymous' };
  const errors = questionProblems(asked, snapshot);
  if (errors.length > 0)
    throw new AppError('invalid_request', {
      message: errors.map(({ message }) => message).join('; '),
      errors,
    });
  const nowMs = Date.now();
  const request = requestOfQuestion((await fillStored(services, call, asked)).question, snapshot, nowMs);
  const point = services.decisionsAt(nowMs);
  const found: { account: AccountFacts; ruleId: string }[] = [];
  let allowed = 0;
  const examined = await eachActiveAccount(services.db, async (account) => {
    const { allow, ruleId } = await point.decide(snapshot, {
      ...request,
      principal: accountPrincipal(account, snapshot),
    });
    if (!allow) return;
    allowed++;
    if (found.length < MOST_LISTED) found.push({ account, ruleId: ruleId ?? '' });
  });
  const items = [];
  for (const { account, ruleId } of found) {
    const principal = await presentPrincipal(services, call, account);
    if (principal) items.push({ principal, ruleId });
  }
  const body = { revision: snapshot.revision, accounts: { ...examined, allowed }, items };
  return { status: 200, body };
}
