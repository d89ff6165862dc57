/** `castellan/client`: asks a Castellan, or any other AuthZEN 1.0 decision point, for decisions. Nothing of the server is behind it. */
import { type Decision, failed, isRecord, messageOf, type Question, toDecision, toText } from './messages.ts';
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
  /** The decisions in the order of the questions. Rejects with TypeError what is no list, and nothing else. */
  decideAll(questions: readonly Question[]): Promise<Decision[]>;
}

interface Waiting {
  /** The question as it is sent. */
  text: string;
  resolve(decision: Decision): void;
}

/** Timers take no more; of more they make 1 ms. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** A client. Throws TypeError where the options cannot be used. */
export function castellan(options: CastellanOptions): Castellan {
  if (!isRecord(options)) throw new TypeError('castellan takes options, at least {url}');
  const { timeoutMs = 1000, batchSize = 100, fetch = globalThis.fetch } = options;
  const base = baseOf(options.url);
  requireWhole('timeoutMs', timeoutMs, LONGEST_TIMEOUT_MS);
  requireWhole('batchSize', batchSize);
  const askTogether = async (texts: readonly string[], signal: AbortSignal): Promise<Decision[]> => {
    const single = texts.length === 1;
    const answer = await send({
      url: base + (single ? '/access/v1/evaluation' : '/access/v1/evaluations'),
      body: single ? String(texts[0]) : `{"evaluations":[${texts}]}`,
      token: options.token,
      fetch,
      timeoutMs,
      signal,
    });
    if ('denial' in answer) {
      if (single || !answer.isRefused) return texts.map(() => answer.denial);
      // They may be of different callers: what one of them asks must not be denied to the others.
      const half = Math.ceil(texts.length / 2);
      const halves = [texts.slice(0, half), texts.slice(half)];
      return (await Promise.all(halves.map((one) => askTogether(one, signal)))).flat();
    }
    const all = single ? [answer.json] : isRecord(answer.json) ? answer.json['evaluations'] : undefined;
    if (Array.isArray(all) && all.length === texts.length) return all.map(toDecision);
    const wrong = failed('not_understood', `the answer has not the ${texts.length} decisions asked for`);
    return texts.map(() => wrong);
  };
  let gathered: Waiting[] = [];
  const sendGathered = () => {
    const all = gathered;
    gathered = [];
    for (let at = 0; at < all.length; at += batchSize) {
      const group = all.slice(at, at + batchSize);
      const texts = group.map(({ text }) => text);
      void askTogether(texts, AbortSignal.timeout(timeoutMs))
        .catch((cause) => group.map(() => failed('unreachable', String(cause))))
        .then((decisions) => {
          for (const [index, { resolve }] of group.entries())
            resolve(decisions[index] ?? failed('not_understood', 'no decision'));
        });
    }
  };
  const decide = (question: Question) =>
    new Promise<Decision>((resolve) => {
      let text: string;
      try {
        text = toText(question);
      } catch (cause) {
        return resolve(failed('not_accepted', `the question cannot be sent: ${messageOf(cause)}`));
      }
      if (gathered.push({ text, resolve }) === 1) queueMicrotask(sendGathered);
    });
  return {
    decide,
    allows: async (question) => (await decide(question)).allow,
    decideAll: async (questions) => {
      // Of no questions all are allowed, so nothing else is taken for an empty list.
      if (!Array.isArray(questions)) throw new TypeError('decideAll takes a list of questions');
      return Promise.all(Array.from(questions, decide));
    },
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
