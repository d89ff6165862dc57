/** `castellan/client`: asks a Castellan, or any other AuthZEN 1.0 decision point, for decisions. Nothing of the server is behind it. */
import { type Decision, failed, isRecord, type Question, toDecision, toMessage } from './messages.ts';
import { send } from './send.ts';

export type { Decision, Entity, Failure, FailureCode, Question } from './messages.ts';

export interface CastellanOptions {
  /** Where the decision point is, such as `https://castellan.example`. */
  url: string;
  /** An API key (`cst_key_…`), or what gives one; asked anew for each call, so that a key can be rotated. */
  token?: string | (() => string | Promise<string>);
  /** For a call, with what it takes to have the key; default 1000. */
  timeoutMs?: number;
  /** Questions in one call at most; default 100, and a Castellan takes 1000. */
  batchSize?: number;
  /** Default: the global one, which keeps connections open. */
  fetch?: typeof fetch;
}

export interface Castellan {
  /** What is decided. Never throws: whatever goes wrong is a denial with `failure`. Questions of one turn go in one call. */
  decide(question: Question): Promise<Decision>;
  /** Whether it is allowed; false in any doubt. */
  allows(question: Question): Promise<boolean>;
  /** The decisions in the order of the questions. */
  decideAll(questions: readonly Question[]): Promise<Decision[]>;
}

interface Waiting {
  question: Question;
  resolve(decision: Decision): void;
}

/** Timers take no more; of more they make 1 ms. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** A client. Throws TypeError where the options cannot be used. */
export function castellan(options: CastellanOptions): Castellan {
  const { timeoutMs = 1000, batchSize = 100, fetch = globalThis.fetch } = options;
  const base = baseOf(options.url);
  requireWhole('timeoutMs', timeoutMs, LONGEST_TIMEOUT_MS);
  requireWhole('batchSize', batchSize);
  const call = (path: string, body: unknown) =>
    send({ url: base + path, body, token: options.token, timeoutMs, fetch });
  const askTogether = async (questions: readonly Question[]): Promise<Decision[]> => {
    const messages = questions.map(toMessage);
    const single = messages.length === 1;
    const answer = single
      ? await call('/access/v1/evaluation', messages[0])
      : await call('/access/v1/evaluations', { evaluations: messages });
    if ('denial' in answer) return questions.map(() => answer.denial);
    const all = single ? [answer.json] : isRecord(answer.json) ? answer.json['evaluations'] : undefined;
    if (Array.isArray(all) && all.length === questions.length) return all.map(toDecision);
    const wrong = failed('not_understood', `the answer has not the ${questions.length} decisions asked for`);
    return questions.map(() => wrong);
  };
  let gathered: Waiting[] = [];
  const sendGathered = () => {
    const all = gathered;
    gathered = [];
    for (let at = 0; at < all.length; at += batchSize) {
      const group = all.slice(at, at + batchSize);
      void askTogether(group.map(({ question }) => question))
        .catch((cause) => group.map(() => failed('unreachable', String(cause))))
        .then((decisions) => {
          for (const [index, { resolve }] of group.entries())
            resolve(decisions[index] ?? failed('not_understood', 'no decision'));
        });
    }
  };
  const decide = (question: Question) =>
    new Promise<Decision>((resolve) => {
      if (gathered.push({ question, resolve }) === 1) queueMicrotask(sendGathered);
    });
  return {
    decide,
    allows: async (question) => (await decide(question)).allow,
    decideAll: (questions) => Promise.all(questions.map(decide)),
  };
}

function baseOf(url: string): string {
  const { protocol, origin, pathname } = new URL(url);
  if (protocol !== 'http:' && protocol !== 'https:')
    throw new TypeError(`url must begin with http: or https:, not ${protocol}`);
  return origin + pathname.replace(/\/+$/, '');
}

function requireWhole(name: string, value: number, most = Number.MAX_SAFE_INTEGER): void {
  if (!Number.isSafeInteger(value) || value < 1 || value > most)
    throw new TypeError(`${name} must be a whole number from 1 to ${most}, not ${value}`);
}
