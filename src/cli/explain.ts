/** `castellan explain` */

import { ancestorsIn, storedPrincipalOf, withStoredPrincipal } from '../admin/fill-stored.ts';

import { type Explanation, explain } from '../decision/explain.ts';
import { LiveEntities } from '../decision/live-entities.ts';
import { accountAttributes, findAccountFacts } from '../decision/principals.ts';
import { questionProblems, requestOfQuestion } from '../decision/question.ts';
import { loadStored } from '../enforcement/load-stored.ts';
import { loadFromSource } from '../enforcement/source.ts';
import { explainCedar } from '../evaluators/explain-cedar.ts';
import { misfit } from '../policy/attributes.ts';
import type { AskedPrincipal, AskedResource, Question } from '../policy/policy.ts';
import { type Command, jsonOption, type Options, printResult, UsageError } from './command.ts';
import { type LiveDatabase, withLiveDatabase } from './live-database.ts';

export const explainCommand: Command = {
  name: 'explain',
  summary: 'What is decided about a question, by which rule, and what keeps every other rule from it',
  options: [
    { name: 'principal', type: 'string', meaning: 'who asks: user:<id>, user, or anonymous' },
    { name: 'roles', type: 'string', meaning: 'their roles, with commas; left out: those stored' },
    { name: 'principal-attributes', type: 'string', meaning: 'JSON; wins over what is stored' },
    { name: 'action', type: 'string', meaning: 'required' },
    { name: 'resource', type: 'string', meaning: '<type> or <type>:<id>; required' },
    { name: 'attributes', type: 'string', meaning: 'of the resource, JSON; wins over what is stored' },
    { name: 'context', type: 'string', meaning: 'facts of the request, JSON, such as {"ip": "10.0.0.1"}' },
    { name: 'at', type: 'string', meaning: 'the instant, ISO 8601; left out: now' },
    jsonOption,
  ],
  notes: ['What is stored of accounts and of the demo is filled in.'],
  run: async (options) => {
    const asked = readQuestion(options);
    const at = readInstant(options['at']);
    const explained = await withLiveDatabase(async (opened) => {
      const question = await fillIn(opened, asked);
      const { snapshot } = opened.live;
      const problems = questionProblems(question, snapshot);
      if (problems.length > 0)
        throw new UsageError(problems.map(({ pointer, message }) => `${pointer} ${message}`).join('; '));
      const request = requestOfQuestion(question, snapshot, at.getTime());
      const decision = await opened.evaluators.decisionsAt(at.getTime()).decide(snapshot, request);
      return explain(snapshot, request, decision, at.getTime(), explainCedar(snapshot, request));
    });
    printResult(options['json'], explained, linesOf(explained));
  },
};

function readQuestion(options: Options): Question {
  const { principal = 'user', action, resource, roles } = options;
  if (typeof action !== 'string') throw new UsageError('--action is required');
  if (typeof resource !== 'string') throw new UsageError('--resource is required: <type> or <type>:<id>');
  const given = roles === undefined ? {} : { roles: String(roles).split(',').filter(Boolean) };
  const attributes = readObject('--principal-attributes', options['principal-attributes']);
  return {
    principal: principal === 'anonymous' ? principal : { ...named(String(principal)), ...given, attributes },
    action,
    resource: { ...named(resource), attributes: readObject('--attributes', options['attributes']) },
    context: readObject('--context', options['context']),
  };
}

/** `type:id` or `type`. */
function named(text: string): { type: string; id?: string } {
  const [type = '', ...id] = text.split(':');
  return id.length > 0 ? { type, id: id.join(':') } : { type };
}

function readObject(option: string, text: unknown): Record<string, unknown> {
  if (text === undefined) return {};
  try {
    const value: unknown = JSON.parse(String(text));
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch {
    // falls through: it is not JSON
  }
  throw new UsageError(`${option} must be a JSON object, such as {"status": "draft"}`);
}

function readInstant(text: unknown): Date {
  if (text === undefined) return new Date();
  if (misfit(text, { type: 'date' })) throw new UsageError(`--at must be a date as in ISO 8601, not ${text}`);
  return new Date(String(text));
}

/** Whoever reaches the database may see all of it: nothing is withheld. */
async function fillIn(opened: LiveDatabase, asked: Question): Promise<Question> {
  const { db, sources, live } = opened;
  const { principal, resource } = await fillInEntities(opened, asked);
  const id = principal === 'anonymous' ? undefined : principal.id;
  const [facts] = id !== undefined && !misfit(id, { type: 'uuid' }) ? await findAccountFacts(db, [id]) : [];
  const filled: AskedPrincipal = facts
    ? withStoredPrincipal(principal, { roles: facts.roles, attributes: accountAttributes(facts) })
    : principal;
  const type = live.snapshot.types.get(resource.type);
  const source = sources.get(resource.type);
  const row =
    type && source && resource.id !== undefined && (await loadFromSource(db, source, type, resource.id));
  const found: AskedResource = row
    ? { ...resource, attributes: { ...withoutNulls(row), ...resource.attributes } }
    : resource;
  return { ...asked, principal: filled, resource: found };
}

async function fillInEntities({ db, sources, live }: LiveDatabase, asked: Question): Promise<Question> {
  const named = ({ type = '', id = '' }: { type?: string; id?: string }) => ({ type, id });
  const [who, what] = [named(asked.principal === 'anonymous' ? {} : asked.principal), named(asked.resource)];
  const stored = await loadStored({ db, sources, entities: new LiveEntities({ db }) }, live.snapshot, {
    principals: [who, what],
  });
  const [entity, found] = [stored.entity(who), stored.entity(what)];
  const { principal, resource } = asked;
  return {
    ...asked,
    ...(entity && { principal: withStoredPrincipal(principal, storedPrincipalOf(entity)) }),
    ...(found && {
      resource: {
        ancestors: ancestorsIn(found),
        ...resource,
        attributes: { ...withoutNulls(found.own.attributes), ...resource.attributes },
      },
    }),
  };
}

function withoutNulls(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null));
}

function linesOf({ summary, rules, decision, cedar }: Explanation): string[] {
  if (cedar)
    return [
      ...summary,
      '',
      `revision ${decision.revision}; policies of Cedar that determine it:`,
      ...cedar.determining.map(({ id, effect }) => `  ${id}: ${effect}`),
      ...cedar.errors.map(({ id, message }) => `  ${id ?? 'error'}: ${message}`),
    ];
  return [
    ...summary,
    '',
    `revision ${decision.revision}; rules about it:`,
    ...rules.map(
      ({ id, effect, outcome, via }) =>
        `  ${id}: ${effect}, ${outcome.replaceAll('_', ' ')}${via && via.length > 1 ? ` (${via.join(' → ')})` : ''}`,
    ),
  ];
}
