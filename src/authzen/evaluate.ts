/** The Access Evaluation API and the Access Evaluations API (sections 6 and 7). */
import { type Access, endpoint, type GuardedCall, type GuardedEndpoint } from '../enforcement/access.ts';
import { after } from '../http/after.ts';
import { parse } from '../http/endpoint.ts';
import type { Services } from '../services.ts';
import { answerOf, badEvaluation, type DecisionMessage } from './answer.ts';
import { requestsOf } from './ask.ts';
import {
  type Batch,
  batchReplyShape,
  batchSchema,
  batchShape,
  decisionShape,
  type Evaluation,
  evaluationSchema,
  isPlainEvaluation,
  partialSchema,
  type Semantic,
} from './messages.ts';
import { paths } from './paths.ts';

export function evaluationEndpoints(services: Services, access: Access): GuardedEndpoint[] {
  return [
    endpoint<Evaluation>({
      method: 'post',
      path: paths.evaluation,
      summary: 'AuthZEN: whether a subject may do an action to a resource',
      access,
      body: evaluationSchema,
      isPlainBody: isPlainEvaluation,
      bodyOptions: { plainJsonOnly: true },
      reply: { status: 200, description: 'The decision; a denial is 200, too', shape: decisionShape },
      handle: (call) => after(evaluateOne(services, call, call.body), (body) => ({ status: 200, body })),
    }),
    endpoint<unknown>({
      method: 'post',
      path: paths.evaluations,
      summary: 'AuthZEN: several evaluations, decided by one revision of the policy',
      access,
      bodyShape: batchShape,
      bodyOptions: { plainJsonOnly: true },
      reply: { status: 200, description: 'The decisions in the order asked for', shape: batchReplyShape },
      handle: async (call) => ({ status: 200, body: await evaluateBatch(services, call) }),
    }),
  ];
}

type AnyCall = GuardedCall<unknown, unknown>;

function evaluateOne(
  services: Services,
  { req, res }: AnyCall,
  evaluation: Evaluation,
): DecisionMessage | Promise<DecisionMessage> {
  return after(services.gatekeeper.pin(req, res), (snapshot) =>
    after(requestsOf(services, snapshot, [evaluation], String(req.id)), ([request]) => {
      if (!request) throw new Error('an evaluation made no request');
      return after(services.decisions.decide(snapshot, request), (decision) =>
        answerOf(snapshot, request, decision),
      );
    }),
  );
}

/** After which decision nothing more is decided (section 7.1.2.1). */
const isLastBy: Record<Exclude<Semantic, 'execute_all'>, (decision: boolean) => boolean> = {
  deny_on_first_deny: (decision) => !decision,
  permit_on_first_permit: (decision) => decision,
};

async function evaluateBatch(
  services: Services,
  call: AnyCall,
): Promise<DecisionMessage | { evaluations: DecisionMessage[] }> {
  const { evaluations = [], options = {}, ...defaults } = parse(batchSchema, call.body ?? {}, '') as Batch;
  if (evaluations.length === 0)
    return evaluateOne(services, call, parse(evaluationSchema, defaults, '') as Evaluation);
  const { req, res } = call;
  const snapshot = await services.gatekeeper.pin(req, res);
  const asked = evaluations.map((item) => complete(item, defaults));
  const good = asked.filter((one) => typeof one !== 'string');
  const requests = (await requestsOf(services, snapshot, good, String(req.id))).values();
  const semantic = options.evaluations_semantic ?? 'execute_all';
  const answer = async (one: Evaluation | string): Promise<DecisionMessage> => {
    const request = typeof one === 'string' ? undefined : requests.next().value;
    return request
      ? answerOf(snapshot, request, await services.decisions.decide(snapshot, request))
      : badEvaluation(String(one));
  };
  // All are asked before the first is waited for: an evaluator that is elsewhere is asked once.
  if (semantic === 'execute_all') return { evaluations: await Promise.all(asked.map(answer)) };
  const answers: DecisionMessage[] = [];
  for (const one of asked) {
    const given = await answer(one);
    answers.push(given);
    if (isLastBy[semantic](given.decision)) break;
  }
  return { evaluations: answers };
}

/**
 * An item with what it leaves out taken whole from the top (section 7.1.1), or in words what is wrong with it. What comes
 * from the top was checked there, and stays the same object: a thousand items do not make a large one read a thousand times.
 */
function complete(
  item: unknown,
  { subject, action, resource, context }: Partial<Evaluation>,
): Evaluation | string {
  if (typeof item !== 'object' || item === null || Array.isArray(item)) return 'the item must be an object';
  const { error, value } = partialSchema.validate(item, { errors: { label: 'path' } });
  if (error) return error.message;
  const whole: Partial<Evaluation> = {
    ...(subject && { subject }),
    ...(action && { action }),
    ...(resource && { resource }),
    ...(context && { context }),
    ...value,
  };
  const missing = (['subject', 'action', 'resource'] as const).filter((name) => whole[name] === undefined);
  return missing.length > 0 ? `${missing.join(', ')} missing, here and at the top` : (whole as Evaluation);
}
