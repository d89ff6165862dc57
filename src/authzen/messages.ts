/** The messages of the AuthZEN Authorization API 1.0 (sections 5 to 8): what is sent, and what must be there. */
import Joi from 'joi';

type Properties = Record<string, unknown>;

/** A subject or a resource (sections 5.1 and 5.2). */
export interface Entity {
  type: string;
  id: string;
  properties?: Properties;
}

/** Section 5.3. */
export interface ActionMessage {
  name: string;
  properties?: Properties;
}

/** One evaluation (section 6.1). */
export interface Evaluation {
  subject: Entity;
  action: ActionMessage;
  resource: Entity;
  context?: Properties;
}

/** Several at once (section 7.1): each takes what it leaves out from the top, entity by entity. */
export interface Batch extends Partial<Evaluation> {
  evaluations?: unknown[];
  options?: { evaluations_semantic?: Semantic };
}

export const semantics = ['execute_all', 'deny_on_first_deny', 'permit_on_first_permit'] as const;
export type Semantic = (typeof semantics)[number];

/** Section 8.2.1. */
export interface PageMessage {
  token?: string;
  limit?: number;
  /** We have none that mean something. */
  properties?: Properties;
}

/** Which actions a subject may do to a resource (section 8.6.1). */
export interface ActionSearch extends Omit<Evaluation, 'action'> {
  page?: PageMessage;
}

/** What is searched for (sections 8.4.1 and 8.5.1): an `id` that is sent is passed over. */
export type Searched = Pick<Entity, 'type' | 'properties'>;

/** Which subjects of a type may do an action to a resource (section 8.4.1). */
export interface SubjectSearch extends Omit<Evaluation, 'subject'> {
  subject: Searched;
  page?: PageMessage;
}

/** Which resources of a type a subject may do an action to (section 8.5.1). */
export interface ResourceSearch extends Omit<Evaluation, 'resource'> {
  resource: Searched;
  page?: PageMessage;
}

/** Evaluations in one message at most. */
export const MOST_EVALUATIONS = 1000;

/** Taken as it stands: a JSON text is no object, and a number no string. Fields that are not known are passed over. */
function message(keys: Joi.SchemaMap): Joi.ObjectSchema {
  return part(keys).prefs({ convert: false });
}

/** Of a message: joi works preferences out anew wherever they stand, a thousand times in a batch. */
function part(keys: Joi.SchemaMap): Joi.ObjectSchema {
  return Joi.object(keys).unknown(true);
}

const text = Joi.string().allow('');
const properties = Joi.object().unknown(true);
const entity = part({ type: text.required(), id: text.required(), properties });
const action = part({ name: text.required(), properties });

export const evaluationSchema = message({
  subject: entity.required(),
  action: action.required(),
  resource: entity.required(),
  context: properties,
});

/** Whether `evaluationSchema` takes it, told in a fraction of the time; it says why not of all else. */
export function isPlainEvaluation(sent: unknown): boolean {
  if (!isObject(sent)) return false;
  const { subject, action, resource, context } = sent;
  return (
    isPlainEntity(subject) && isPlainAction(action) && isPlainEntity(resource) && isAbsentOrObject(context)
  );
}

function isPlainEntity(sent: unknown): boolean {
  return (
    isObject(sent) &&
    typeof sent['type'] === 'string' &&
    typeof sent['id'] === 'string' &&
    isAbsentOrObject(sent['properties'])
  );
}

function isPlainAction(sent: unknown): boolean {
  return isObject(sent) && typeof sent['name'] === 'string' && isAbsentOrObject(sent['properties']);
}

function isAbsentOrObject(sent: unknown): boolean {
  return sent === undefined || isObject(sent);
}

function isObject(sent: unknown): sent is Record<string, unknown> {
  return typeof sent === 'object' && sent !== null && !Array.isArray(sent);
}

const defaults = { subject: entity, action, resource: entity, context: properties };
const options = part({ evaluations_semantic: Joi.string().valid(...semantics) });

/** An evaluation in a batch, which may leave out what stands at the top. */
export const partialSchema = message(defaults);

/** What is the same for all is checked here; each evaluation is checked alone, so that a bad one spoils no other. */
export const batchSchema = message({
  ...defaults,
  evaluations: Joi.array().items(Joi.any()).max(MOST_EVALUATIONS),
  options,
});

/** The same as it should be sent. */
export const batchShape = message({
  ...defaults,
  evaluations: Joi.array().items(partialSchema).max(MOST_EVALUATIONS),
  options,
});

/** A key of `page` that is not known would be a capability that we do not have (section 8.2.1); it is passed over too. */
const page = part({ token: text, limit: Joi.number().integer().min(0), properties });

const searched = part({ type: text.required(), properties });

export const subjectSearchSchema = message({
  subject: searched.required(),
  action: action.required(),
  resource: entity.required(),
  context: properties,
  page,
});

export const resourceSearchSchema = message({
  subject: entity.required(),
  action: action.required(),
  resource: searched.required(),
  context: properties,
  page,
});

export const actionSearchSchema = message({
  subject: entity.required(),
  resource: entity.required(),
  context: properties,
  page,
});

const reasons = Joi.object().pattern(Joi.string(), Joi.string());

/** A decision (section 5.5). */
export const decisionShape = Joi.object({
  decision: Joi.boolean(),
  context: Joi.object({
    reason_admin: reasons,
    reason_user: reasons,
    ruleId: Joi.string(),
    revision: Joi.number().integer(),
    decisionId: Joi.string().description('in the decision log, where it is kept'),
    error: Joi.object({ status: Joi.number().integer(), message: Joi.string() }),
  }),
});

export const batchReplyShape = Joi.object({
  evaluations: Joi.array().items(decisionShape),
}).description('a single decision where no evaluations were sent');

/** Section 8.3; what is found is an entity of the kind that was searched for. */
export function searchReplyShape(found: Joi.SchemaMap): Joi.ObjectSchema {
  return Joi.object({
    page: Joi.object({ next_token: Joi.string().allow(''), count: Joi.number().integer() }),
    results: Joi.array().items(Joi.object(found)),
  });
}
