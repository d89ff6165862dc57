/** A question as people write it, made the request that is decided. */
import type { Problem } from '../errors.ts';
import { ANONYMOUS_TYPE, type Principal } from '../policy/ability.ts';
import { canonical, misfit } from '../policy/attributes.ts';
import { ACCOUNT_TYPE, contextFacts } from '../policy/built-in.ts';
import { checkQuestion } from '../policy/check-cases.ts';
import type { Facts } from '../policy/matcher.ts';
import type { AskedPrincipal, AskedResource, Question } from '../policy/policy.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import {
  type AccessRequest,
  anonymous,
  cleanAncestors,
  principalOf,
  type Resource,
  resourceOf,
} from './access-request.ts';

/** Somebody who is nobody in particular: no account has this id. */
const NOBODY = '00000000-0000-0000-0000-000000000000';

/** Everything that the question names and the policy does not have, and attributes that do not fit. */
export function questionProblems(question: Question, snapshot: Snapshot): Problem[] {
  const problems = checkQuestion(question, snapshot);
  if (problems.length > 0) return problems;
  return resourceIn(question.resource, snapshot).misfits.map((name) => ({
    pointer: `/resource/${name}`,
    code: 'value',
    message: `does not fit ${name} as ${question.resource.type} declares it`,
  }));
}

/** The request of a question whose names the policy knows, as it is asked at an instant. */
export function requestOfQuestion(question: Question, snapshot: Snapshot, atMs: number): AccessRequest {
  const { action } = question;
  return {
    principal: principalIn(question.principal, snapshot),
    action: typeof action === 'string' ? { name: action } : actionOf(action),
    resource: resourceIn(question.resource, snapshot),
    context: contextIn(question.context ?? {}, atMs),
  };
}

/** Who asks, as the question says it; roles and attributes that are stored are filled in before. */
export function principalIn(asked: AskedPrincipal, snapshot: Snapshot): Principal {
  if (asked === 'anonymous' || asked.type === ANONYMOUS_TYPE) return anonymous;
  const { type = ACCOUNT_TYPE, id = NOBODY, roles = [], ancestors = [], attributes = {}, ...beside } = asked;
  return principalOf(
    {
      type,
      id,
      roles,
      attributes: { ...beside, ...attributes, id },
      ancestors: cleanAncestors(ancestors, snapshot).ancestors,
      accessVersion: 0,
    },
    snapshot.types.get(type),
  );
}

/** The resource, its attributes beside the type or under `attributes`. */
export function resourceIn(asked: AskedResource, snapshot: Snapshot): Resource {
  const { type: name, ancestors = [], attributes = {}, ...beside } = asked;
  const type = snapshot.types.get(name);
  if (!type) throw new Error(`unknown resource type ${name}`);
  return resourceOf(type, { ...beside, ...attributes }, cleanAncestors(ancestors, snapshot).ancestors);
}

function actionOf({ name, properties }: { name: string; properties?: Facts }): AccessRequest['action'] {
  return properties ? { name, properties } : { name };
}

/** Facts of the request as they are given; those known to rules must fit, or they are left out: see `contextMisfits`. */
export function contextIn(given: Record<string, unknown>, atMs: number): Facts {
  const facts: Record<string, unknown> = timed(atMs);
  for (const [name, value] of Object.entries(given)) {
    const spec = Object.hasOwn(contextFacts, name) ? contextFacts[name] : undefined;
    if (value === null || value === undefined || (spec && misfit(value, spec))) continue;
    const fact = canonical(value, spec?.type, spec?.items);
    if (name === 'time') Object.defineProperty(facts, name, { value: fact, enumerable: true });
    else facts[name] = fact;
  }
  return facts;
}

/** Few rules ask for the time, so it is written when asked for. */
function timed(atMs: number): Record<string, unknown> {
  return {
    __proto__: null,
    get time() {
      return new Date(atMs).toISOString();
    },
  };
}

/** Known facts of the request whose values do not fit: a rule that asks for them could not be answered. */
export function contextMisfits(given: Record<string, unknown>): string[] {
  return Object.entries(given)
    .filter(([name, value]) => {
      const spec = Object.hasOwn(contextFacts, name) ? contextFacts[name] : undefined;
      return spec && value !== null && misfit(value, spec) !== undefined;
    })
    .map(([name]) => name);
}
