/** /admin/decisions/disagreements: where evaluator and shadow did not say the same. */
import Joi from 'joi';
import { endpoint, type GuardedCall, type GuardedEndpoint } from '../enforcement/access.ts';
import { showReadable } from '../enforcement/mask.ts';
import { invalidField } from '../errors.ts';
import { type PageQuery, pageKeys } from '../http/page.ts';
import { misfit } from '../policy/attributes.ts';
import type { Services } from '../services.ts';
import { type DecisionSummaryRow, decisionAttributes } from './decision-rows.ts';
import { presentSummary } from './list-decisions.ts';
import { listReadable } from './list-readable.ts';

interface DisagreementRow extends DecisionSummaryRow {
  doubt: string | null;
  decisionId: string | null;
  shadow: { evaluator: string; allow: boolean; ruleId: string | null; reason?: string; doubt?: string };
}

interface Filter {
  resourceType?: string;
}

const question = { action: 'read', resource: 'castellan.decision' };

export function disagreementEndpoints(
  services: Services,
  path: string,
  summaryShape: Joi.ObjectSchema,
): GuardedEndpoint[] {
  const shape = summaryShape.keys({
    doubt: Joi.string().allow(null),
    decisionId: Joi.string().allow(null).description('in the decision log, where it is kept'),
    shadow: Joi.object({
      evaluator: Joi.string(),
      allow: Joi.boolean(),
      ruleId: Joi.string().allow(null),
      reason: Joi.string(),
      doubt: Joi.string(),
    }).description('what the second evaluator said, and why'),
  });
  return [
    endpoint<undefined, Filter & PageQuery>({
      method: 'get',
      path,
      summary: 'List decisions that shadows disagree with, the newest first',
      access: question,
      query: Joi.object({ ...pageKeys, resourceType: Joi.string() }),
      reply: {
        status: 200,
        description: 'A page',
        shape: Joi.object({ items: Joi.array().items(shape), nextCursor: Joi.string().allow(null) }),
      },
      handle: async (call) => ({ status: 200, body: await listDisagreements(services, call) }),
    }),
  ];
}

/** As the decisions themselves are listed: each is shown to those who may read it. */
async function listDisagreements(services: Services, call: GuardedCall<unknown, Filter & PageQuery>) {
  const { db, gatekeeper, decisions, disagreements } = services;
  const { req, query, context } = call;
  const { resourceType } = query;
  await disagreements.written();
  const requestAbout = (row: object) => gatekeeper.accessRequest(req, context.snapshot, question, row);
  return listReadable<DisagreementRow, object>(services, call, {
    page: (after, size) => {
      const select = db('disagreements').select<DisagreementRow[]>('*').orderByRaw('at DESC, id DESC');
      if (resourceType !== undefined) select.where({ resourceType });
      return select.limit(size).modify((rows) => {
        if (after !== undefined) rows.whereRaw('(at, id) < (?::timestamptz, ?::uuid)', placeIn(after));
      });
    },
    nameOf: ({ at, id }) => `${at.toISOString()} ${id}`,
    resource: question.resource,
    filteredBy: resourceType === undefined ? [] : ['resource'],
    attributesOf: decisionAttributes,
    present: (row) => {
      const { doubt, decisionId, shadow } = row;
      const shown = { ...presentSummary(row), doubt, decisionId, shadow };
      return showReadable(decisions, context.snapshot, requestAbout(decisionAttributes(row)), shown);
    },
  });
}

/** `<instant> <id>`. */
function placeIn(after: string): [at: string, id: string] {
  const [at = '', id = '', ...rest] = after.split(' ');
  if (misfit(at, { type: 'date' }) || misfit(id, { type: 'uuid' }) || rest.length > 0)
    throw invalidField('/query/cursor', 'must be a nextCursor of this list');
  return [at, id];
}
