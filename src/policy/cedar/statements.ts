/** The text of Cedar policies taken apart: each policy with its id, its effect, and where it is. */
import type { CedarPart } from '../policy.ts';
import { withCedar } from './engine.ts';
import { ACTION_TYPE, ROLE_TYPE } from './names.ts';

/** One policy of a part. */
export interface Statement {
  /** `@id("…")`, or `<part>#<n>`, counted from 1. */
  id: string;
  effect: 'permit' | 'forbid';
  /** `@reason("…")` */
  reason?: string;
  text: string;
  scope: Scope;
  /** Whether its conditions ask about the principal, or name what could be one. */
  readsPrincipal: boolean;
  /** Whether it asks about more than the resource itself, which entities that are stored may lead to the principal. */
  readsThrough: boolean;
  /** Attributes that its conditions read of anything but the context and the resource itself: those of the principal among them. */
  attributesRead: readonly string[];
  /** Which part of the policy it is in, and where in its text it begins. */
  part: number;
  start: number;
}

/** What the head of a policy plainly asks for; what is left out may be anything. */
export interface Scope {
  action?: string;
  principal?: Wanted;
  resource?: Wanted;
}

interface Wanted {
  type?: string;
  id?: string;
  within?: { type: string; id: string };
}

/** What is wrong with a text, and where in it, counted in characters from 0. */
export interface TextProblem {
  message: string;
  start?: number | undefined;
}

export interface ReadStatements {
  statements: Statement[];
  problems: (TextProblem & { part: number })[];
}

/** Every policy of the parts, and what keeps texts from being policies. */
export function readStatements(parts: readonly CedarPart[]): ReadStatements {
  const read: ReadStatements = { statements: [], problems: [] };
  for (const [part, { id, policies = '' }] of parts.entries()) {
    const problems = withCedar((cedar) => textProblems(cedar.policySetTextToParts(policies), policies));
    read.problems.push(...problems.map((problem) => ({ ...problem, part })));
    if (problems.length > 0) continue;
    for (const [index, piece] of pieces(policies).entries())
      read.statements.push(statementOf(piece, part, `${id}#${index + 1}`));
  }
  return read;
}

type Taken = ReturnType<typeof import('@cedar-policy/cedar-wasm/nodejs').policySetTextToParts>;

function textProblems(taken: Taken, text: string): TextProblem[] {
  if (taken.type === 'failure') return taken.errors.map((error) => textProblem(error, text));
  if (taken.policy_templates.length > 0)
    return [
      {
        message:
          'templates (?principal, ?resource) are not taken: nothing links them; write the policy with its entity',
        start: Math.max(text.search(/\?(principal|resource)/), 0),
      },
    ];
  if (taken.policies.length !== pieces(text).length)
    return [{ message: 'cannot be taken apart into its policies', start: 0 }];
  return [];
}

function statementOf(piece: Piece, part: number, fallback: string): Statement {
  return withCedar((cedar) => {
    const read = cedar.policyToJson(piece.text);
    if (read.type === 'failure') throw new Error(read.errors[0]?.message);
    const { id = fallback, reason } = read.json.annotations ?? {};
    const conditions = JSON.stringify(read.json.conditions);
    const attributesRead = [...new Set(attributesIn(read.json.conditions))];
    const scope = scopeOf(read.json);
    return {
      // An annotation without a value has the empty one.
      id: id ?? '',
      effect: read.json.effect,
      ...(reason && { reason }),
      ...piece,
      scope,
      readsPrincipal: conditions.includes('{"Var":"principal"}') || namesOther(read.json.conditions),
      readsThrough:
        attributesRead.length > 0 ||
        scope.resource?.within !== undefined ||
        /"(?:in|hasTag|getTag)":/.test(conditions),
      attributesRead,
      part,
    };
  });
}

/** Whether an entity is written out that is neither a role nor an action, and so may be whoever asks. */
function namesOther(node: unknown): boolean {
  if (typeof node !== 'object' || node === null) return false;
  const named: { type?: unknown } | undefined = Reflect.get(node, '__entity');
  if (named && named.type !== ROLE_TYPE && named.type !== ACTION_TYPE) return true;
  return Object.values(node).some(namesOther);
}

/** By `.` and `has`, whatever stands before them: a principal may come by way of a variable, a branch, a record or its name. */
function attributesIn(node: unknown): string[] {
  if (typeof node !== 'object' || node === null) return [];
  const own = ['.', 'has'].flatMap((operator) => {
    const { left, attr }: { left?: unknown; attr?: unknown } = Reflect.get(node, operator) ?? {};
    return isNoPrincipal(left) ? [] : [attr].flat().filter((name) => typeof name === 'string');
  });
  return [...own, ...Object.values(node).flatMap(attributesIn)];
}

function isNoPrincipal(left: unknown): boolean {
  return JSON.stringify(left) === '{"Var":"resource"}' || isOfContext(left);
}

function isOfContext(left: unknown): boolean {
  if (typeof left !== 'object' || left === null) return false;
  if (JSON.stringify(left) === '{"Var":"context"}') return true;
  const within: { left?: unknown } = Reflect.get(left, '.') ?? {};
  return Object.keys(left).length === 1 && isOfContext(within.left);
}

type PolicyJson = Extract<
  ReturnType<typeof import('@cedar-policy/cedar-wasm/nodejs').policyToJson>,
  { type: 'success' }
>['json'];

function scopeOf({ principal, action, resource }: PolicyJson): Scope {
  const only = action.op === '==' && 'entity' in action ? uidOf(action.entity).id : undefined;
  return {
    ...(only !== undefined && { action: only }),
    principal: wantedOf(principal),
    resource: wantedOf(resource),
  };
}

function wantedOf(constraint: PolicyJson['principal']): Wanted {
  if (constraint.op === '==' && 'entity' in constraint) return uidOf(constraint.entity);
  if (constraint.op === 'in' && 'entity' in constraint) return { within: uidOf(constraint.entity) };
  if (constraint.op !== 'is') return {};
  const within = constraint.in && 'entity' in constraint.in ? uidOf(constraint.in.entity) : undefined;
  return { type: constraint.entity_type, ...(within && { within }) };
}

type Uid = { type: string; id: string };

function uidOf(entity: Uid | { __entity: Uid }): Uid {
  return '__entity' in entity ? entity.__entity : entity;
}

interface Piece {
  text: string;
  start: number;
}

/** `;` ends a policy, outside of strings and comments; it has no other use in Cedar. */
function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let start = 0;
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\[\s\S])*"|\/\/[^\n\r]*|;/g)) {
    if (token !== ';') continue;
    const lead = leadOf(text.slice(start, index));
    found.push({ text: text.slice(start + lead, index + 1), start: start + lead });
    start = index + 1;
  }
  return found;
}

/** Space and comments before a policy: its own place is where it begins. */
function leadOf(text: string): number {
  return /^(?:\s|\/\/[^\n\r]*)*/.exec(text)?.[0].length ?? 0;
}

interface CedarError {
  message: string;
  help: string | null;
  sourceLocations?: { start: number; label: string | null }[];
}

/** What Cedar says of a text, with its help and the place in the text. */
export function textProblem({ message, help, sourceLocations = [] }: CedarError, text: string): TextProblem {
  const [place] = sourceLocations;
  const more = [place?.label, help].filter((words) => typeof words === 'string' && words !== '');
  return {
    message: [message, ...more].join('; '),
    start: place && characterAt(text, place.start),
  };
}

/** Cedar counts bytes of UTF-8. */
function characterAt(text: string, byte: number): number {
  return Buffer.from(text).subarray(0, byte).toString().length;
}

/** `line 3, column 5` of a text, both counted from 1. */
export function placeIn(text: string, start: number): string {
  const before = text.slice(0, start).split('\n');
  return `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
}
