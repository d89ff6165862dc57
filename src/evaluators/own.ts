/** Evaluators of a team's own: modules that are named at the start, checked before anything is decided. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ConfigError } from '../config.ts';
import type { AccessRequest } from '../decision/access-request.ts';
import type { Evaluator, Verdict } from '../decision/evaluator.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import { allOrNothing } from './all-or-nothing.ts';

/** What a module exports, as `evaluator` or by default. What it leaves out follows from `evaluate`. */
export type OwnEvaluator = Pick<Evaluator, 'name'> &
  Partial<Pick<Evaluator, 'permittedFields' | 'possible'>> & {
    evaluate(
      snapshot: Snapshot,
      request: AccessRequest,
    ): Promise<Partial<Verdict> & Pick<Verdict, 'allow'>> | (Partial<Verdict> & Pick<Verdict, 'allow'>);
  };

const nameForm = /^[a-z][a-z0-9-]{0,62}$/;

/**
 * The evaluators of these modules, whose paths begin where the process was started. Throws ConfigError naming the module
 * that is not there, does not load, exports no evaluator, or takes a name that is `taken`.
 */
export async function loadEvaluators(
  modules: readonly string[],
  { taken, timeoutMs }: { taken: readonly string[]; timeoutMs: number },
): Promise<Evaluator[]> {
  const loaded: Evaluator[] = [];
  for (const path of modules) {
    const given = await exportOf(path);
    const others = [...taken, ...loaded.map(({ name }) => name)];
    if (others.includes(given.name))
      throw wrong(path, `the name ${given.name} is taken; there are ${others.join(', ')}`);
    loaded.push(completed(given, timeoutMs));
  }
  return loaded;
}

/** The evaluator with what it leaves out; one that does not answer in time is in doubt. */
export function completed(given: OwnEvaluator, timeoutMs: number): Evaluator {
  const whole = allOrNothing(given.name, async (snapshot, request) => {
    const verdict: unknown = await inTime(given.evaluate(snapshot, request), timeoutMs);
    return verdictIn(verdict);
  });
  return {
    ...whole,
    permittedFields: async (snapshot, request, fields) => {
      if (!given.permittedFields) return whole.permittedFields(snapshot, request, fields);
      const permitted: unknown = await inTime(given.permittedFields(snapshot, request, fields), timeoutMs);
      if (!(permitted instanceof Set)) throw new Error('the evaluator answered no Set of fields');
      return new Set(fields.filter((field) => permitted.has(field)));
    },
    possible: async (snapshot, principal, action, type) =>
      !given.possible ||
      (await inTime(given.possible(snapshot, principal, action, type), timeoutMs)) === true,
  };
}

async function exportOf(path: string): Promise<OwnEvaluator> {
  const file = resolve(path);
  if (!existsSync(file)) throw wrong(path, `there is no such file (${file})`);
  const module: unknown = await import(pathToFileURL(file).href).catch((cause) => {
    throw wrong(path, `it does not load: ${cause instanceof Error ? cause.message : String(cause)}`);
  });
  const given = isRecord(module) ? (module['evaluator'] ?? module['default']) : undefined;
  if (!isRecord(given)) throw wrong(path, 'it exports neither "evaluator" nor a default that is an object');
  if (!isOwn(given)) throw wrong(path, whatIsWrong(given));
  return given;
}

function isOwn(given: object): given is OwnEvaluator {
  return whatIsWrong(given) === '';
}

/** Empty where nothing is. */
function whatIsWrong(given: object): string {
  const { name, evaluate, permittedFields, possible } = given as Record<string, unknown>;
  if (typeof name !== 'string' || !nameForm.test(name))
    return 'its "name" must be a word of small letters, digits and -, beginning with a letter';
  if (typeof evaluate !== 'function') return 'its "evaluate" must be a function';
  for (const [key, value] of Object.entries({ permittedFields, possible }))
    if (value !== undefined && typeof value !== 'function')
      return `its "${key}" must be a function, or left out`;
  return '';
}

function verdictIn(given: unknown): Verdict {
  if (!isRecord(given) || typeof given['allow'] !== 'boolean')
    throw new Error('the evaluator answered no {allow: true or false}');
  const { allow, ruleId, reason } = given;
  return {
    allow,
    ruleId: typeof ruleId === 'string' ? ruleId : null,
    ...(typeof reason === 'string' && { reason }),
  };
}

/** What it resolves to, a promise of whatever make; rejects when the time is over. */
async function inTime<T>(answer: PromiseLike<T> | T, timeoutMs: number): Promise<T> {
  if (!isRecord(answer) || typeof answer['then'] !== 'function') return answer;
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`the evaluator did not answer in ${timeoutMs} ms`)), timeoutMs);
  });
  return Promise.race([answer, over]).finally(() => clearTimeout(timer));
}

function wrong(path: string, what: string): ConfigError {
  return new ConfigError(`evaluator ${path}: ${what}`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
