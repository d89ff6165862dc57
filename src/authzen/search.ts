/** The Search APIs (section 8): who may do it, what may be done, and what it may be done to. */
import Joi from 'joi';
import { type Access, endpoint, type GuardedCall, type GuardedEndpoint } from '../enforcement/access.ts';
import type { Services } from '../services.ts';
import { requestsOf } from './ask.ts';
import {
  type ActionSearch,
  actionSearchSchema,
  type ResourceSearch,
  resourceSearchSchema,
  type SubjectSearch,
  searchReplyShape,
  subjectSearchSchema,
} from './messages.ts';
import { readPage } from './page.ts';
import { paths } from './paths.ts';
import { searchResources, searchSubjects } from './search-entities.ts';

export function searchEndpoints(services: Services, access: Access): GuardedEndpoint[] {
  const entityReply = searchReplyShape({ type: Joi.string(), id: Joi.string() });
  return [
    endpoint<SubjectSearch>({
      method: 'post',
      path: paths.searchSubject,
      summary: 'AuthZEN: the subjects of a type that may do an action to a resource',
      access,
      body: subjectSearchSchema,
      bodyOptions: { plainJsonOnly: true },
      reply: {
        status: 200,
        description: 'Page by page; none where type, action or resource is not known',
        shape: entityReply,
      },
      handle: async (call) => ({ status: 200, body: await searchSubjects(services, call) }),
    }),
    endpoint<ResourceSearch>({
      method: 'post',
      path: paths.searchResource,
      summary: 'AuthZEN: the resources of a type that a subject may do an action to',
      access,
      body: resourceSearchSchema,
      bodyOptions: { plainJsonOnly: true },
      reply: {
        status: 200,
        description: 'Page by page; none where subject, type or action is not known',
        shape: entityReply,
      },
      handle: async (call) => ({ status: 200, body: await searchResources(services, call) }),
    }),
    endpoint<ActionSearch>({
      method: 'post',
      path: paths.searchAction,
      summary: 'AuthZEN: the actions that a subject may do to a resource',
      access,
      body: actionSearchSchema,
      bodyOptions: { plainJsonOnly: true },
      reply: {
        status: 200,
        description: 'By name; none where subject or resource is not known',
        shape: searchReplyShape({ name: Joi.string() }),
      },
      handle: async (call) => ({ status: 200, body: await searchActions(services, call) }),
    }),
  ];
}

/** Each action that the resource type has is asked about; each that is answered would be allowed (section 8.1). */
async function searchActions(services: Services, { req, res, body, context }: GuardedCall<ActionSearch>) {
  const { subject, resource, context: facts = {}, page: asked = {} } = body;
  const snapshot = await services.gatekeeper.pin(req, res);
  const { type, id } = context.principal;
  const page = readPage(asked, { search: 'action', caller: [type, id], subject, resource, facts });
  const evaluation = { subject, action: { name: '' }, resource, context: facts };
  const [request] = await requestsOf(services, snapshot, [evaluation], String(req.id));
  const names = request?.doubt === undefined ? (snapshot.types.get(resource.type)?.actions ?? []) : [];
  const { after } = page;
  const candidates = names.toSorted().filter((name) => request && (after === undefined || name > after));
  const decide = (name: string) =>
    // What only narrows a list is no access: the decision log does not hear of it.
    request && services.decisions.decide(snapshot, { ...request, action: { name } }, 'never');
  const decisions = await Promise.all(candidates.map(decide));
  const allowed = candidates.filter((_name, at) => decisions[at]?.allow);
  const shown = allowed.slice(0, page.limit);
  const next = shown.length < allowed.length ? { after: shown.at(-1) ?? page.after } : undefined;
  return {
    ...((body.page || next) && { page: page.describe(shown.length, next) }),
    results: shown.map((name) => ({ name })),
  };
}
