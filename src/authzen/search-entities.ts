/** The Subject Search API and the Resource Search API (sections 8.4 and 8.5): candidates, each decided on before it is answered. */
import type { AccessRequest } from '../decision/access-request.ts';
import type { GuardedCall } from '../enforcement/access.ts';
import { TRANSLATED } from '../enforcement/sql-filter.ts';
import { ANONYMOUS_TYPE } from '../policy/ability.ts';
import type { ResourceType } from '../policy/policy.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Services } from '../services.ts';
import { requestsOf } from './ask.ts';
import { criteriaOf } from './criteria.ts';
import type { Evaluation, PageMessage, ResourceSearch, Searched, SubjectSearch } from './messages.ts';
import { type AskedPage, readPage } from './page.ts';
import { resourceSources } from './resource-candidates.ts';
import { type CandidateSource, scan, type Work } from './scan.ts';
import { subjectSources } from './subject-candidates.ts';

/** In the place of what is searched for: of these nothing is in doubt. */
const NOBODY = { type: ANONYMOUS_TYPE, id: ANONYMOUS_TYPE };
const NOTHING = { type: '', id: '' };

/** What one request decides at most: where the rules are ours, and where another engine is asked, maybe over a network. */
const OURS: Work = { candidates: 5000, batch: 500 };
const ANOTHERS: Work = { candidates: 500, batch: 50 };

/** The subjects of the type that may do it. Whoever is not known or was deactivated is none of them. */
export async function searchSubjects(services: Services, call: GuardedCall<SubjectSearch>) {
  const { subject: searched, action, resource, page: asked } = call.body;
  const snapshot = await services.gatekeeper.pin(call.req, call.res);
  const page = pageOf(call, 'subject', { subject: searchedPart(searched), action, resource });
  const rest = { action, resource, context: contextNow(call) };
  const known = await requestOf(services, call, snapshot, { ...rest, subject: NOBODY });
  const type = typeWith(snapshot, resource.type, action.name);
  const criteria = criteriaOf(snapshot.types.get(searched.type), searched);
  if (!type || !criteria || isInDoubt(known)) return pageReply(asked, page, searched.type, []);
  const wanted = { snapshot, type: searched.type, action: action.name, resource: known.resource };
  const found = await scan(
    await subjectSources(services, wanted),
    page,
    workFor(type),
    async (source, ids) => {
      const evaluations = ids.map((id) => ({ ...rest, subject: candidate(source, searched, id) }));
      const requests = await requestsOf(services, snapshot, evaluations, String(call.req.id));
      const fit = ({ principal }: AccessRequest) => !source.isStored || criteria.fits(principal.attributes);
      return decideAll(services, snapshot, requests, fit);
    },
  );
  return pageReply(asked, page, searched.type, found.ids, found.next);
}

/** The resources of the type that the subject may do it to. One that is not known may do it to none. */
export async function searchResources(services: Services, call: GuardedCall<ResourceSearch>) {
  const { subject, action, resource: searched, page: asked } = call.body;
  const snapshot = await services.gatekeeper.pin(call.req, call.res);
  const page = pageOf(call, 'resource', { subject, action, resource: searchedPart(searched) });
  const rest = { subject, action, context: contextNow(call) };
  const known = await requestOf(services, call, snapshot, { ...rest, resource: NOTHING });
  const type = typeWith(snapshot, searched.type, action.name);
  const criteria = criteriaOf(type, searched);
  if (!type || !criteria || isInDoubt(known)) return pageReply(asked, page, searched.type, []);
  const wanted = { snapshot, type, request: known, tests: criteria.tests };
  const found = await scan(
    await resourceSources(services, wanted),
    page,
    workFor(type),
    async (source, ids) => {
      const evaluations = ids.map((id) => ({ ...rest, resource: candidate(source, searched, id) }));
      const requests = await requestsOf(services, snapshot, evaluations, String(call.req.id));
      const fit = ({ resource }: AccessRequest) => !source.isStored || criteria.fits(resource.attributes);
      return decideAll(services, snapshot, requests, fit);
    },
  );
  return pageReply(asked, page, searched.type, found.ids, found.next);
}

type AnySearch = SubjectSearch | ResourceSearch;

/** The page, bound to whatever was sent but the page itself and the id that is passed over. */
function pageOf(
  { body, context: { principal } }: GuardedCall<AnySearch>,
  search: string,
  entities: object,
): AskedPage {
  const { context: facts = {}, page = {} } = body;
  return readPage(page, { search, caller: [principal.type, principal.id], ...entities, facts });
}

function searchedPart({ type, properties }: Searched): Searched {
  return properties ? { type, properties } : { type };
}

/** As it was sent, and all batches of the search at one instant. */
function contextNow({ body }: GuardedCall<AnySearch>): Record<string, unknown> {
  return { time: new Date().toISOString(), ...body.context };
}

/** What is known beside what is searched for. */
async function requestOf(
  services: Services,
  { req }: GuardedCall<AnySearch>,
  snapshot: Snapshot,
  evaluation: Evaluation,
): Promise<AccessRequest> {
  const [request] = await requestsOf(services, snapshot, [evaluation], String(req.id));
  if (!request) throw new Error('an evaluation made no request');
  return request;
}

/** Then nothing is found, whoever or whatever is searched for. */
function isInDoubt({ doubt, resource }: AccessRequest): boolean {
  return doubt !== undefined || resource.misfits.length > 0;
}

/** The type, where it has the action. */
function typeWith({ types }: Snapshot, name: string, action: string): ResourceType | undefined {
  const type = types.get(name);
  return type?.actions.includes(action) ? type : undefined;
}

function workFor({ evaluator }: ResourceType): Work {
  return evaluator === TRANSLATED ? OURS : ANOTHERS;
}

/** One candidate as an evaluation would name it: properties are what is known of those that are kept elsewhere. */
function candidate({ isStored }: CandidateSource, searched: Searched, id: string): Evaluation['subject'] {
  return { ...(isStored ? { type: searched.type } : searchedPart(searched)), id };
}

/** Which of the requests are allowed, by what is stored now. What is in doubt is not asked about: it may have been deleted meanwhile. */
function decideAll(
  { decisions }: Services,
  snapshot: Snapshot,
  requests: readonly AccessRequest[],
  fit: (request: AccessRequest) => boolean,
): Promise<boolean[]> {
  return Promise.all(
    requests.map(async (request) => {
      if (request.doubt !== undefined || !fit(request)) return false;
      // What only narrows a list is no access: the decision log does not hear of it.
      return (await decisions.decide(snapshot, request, 'never')).allow;
    }),
  );
}

function pageReply(
  asked: PageMessage | undefined,
  page: AskedPage,
  type: string,
  ids: readonly string[],
  next?: { after: string | undefined },
) {
  return {
    ...((asked || next) && { page: page.describe(ids.length, next) }),
    results: ids.map((id) => ({ type, id })),
  };
}
