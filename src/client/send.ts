/** One call to the decision point, within its time, of bounded size. */
import { type Decision, failed, messageOf } from './messages.ts';

export interface Sent {
  url: string;
  /** JSON. */
  body: string;
  token: string | (() => string | Promise<string>) | undefined;
  fetch: typeof fetch;
  /** For telling; the signal is aborted after it. */
  timeoutMs: number;
  signal: AbortSignal;
}

/** An answer, or the denial that stands for it; refused where what was asked is not taken, or not so much at once. */
export type Answer = { json: unknown } | { denial: Decision; isRefused?: boolean };

const REFUSED = [400, 413, 422];

const MOST_BYTES = 4 * 1024 * 1024;

/**
 * Never throws, and is answered in time, whatever the token and `fetch` do. A connection that was lost is tried once more;
 * a redirect is not followed: it could lead to anybody.
 */
export async function send(sent: Sent): Promise<Answer> {
  const { signal } = sent;
  try {
    return await Promise.race([exchange(sent), timeOver(signal)]);
  } catch (cause) {
    return {
      denial: signal.aborted
        ? failed('timeout', `the decision point did not answer in ${sent.timeoutMs} ms`)
        : failed('unreachable', `the decision point cannot be reached: ${messageOf(cause)}`),
    };
  }
}

async function exchange(sent: Sent): Promise<Answer> {
  const { signal } = sent;
  const token = typeof sent.token === 'function' ? await sent.token() : sent.token;
  // What fetch says of it would repeat it, and end in a log.
  if (token !== undefined && /[^\x20-\x7e]/.test(token.trim()))
    throw new Error('the token has characters that no header takes');
  const response = await attempt(sent, token).catch((cause) => {
    if (signal.aborted) throw cause;
    return attempt(sent, token);
  });
  if (response.status !== 200) {
    void response.body?.cancel().catch(() => {});
    const code = response.status >= 500 ? 'unreachable' : 'not_accepted';
    const denial = failed(code, `the decision point answered ${response.status}`);
    return { denial, isRefused: REFUSED.includes(response.status) };
  }
  return parse(await readBounded(response));
}

/** Never resolves. */
function timeOver(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

function attempt({ url, body, fetch, signal }: Sent, token: string | undefined): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json',
      ...(token !== undefined && { authorization: `Bearer ${token.trim()}` }),
    },
    body,
    redirect: 'error',
    signal,
  });
}

async function readBounded({ body }: Response): Promise<string> {
  const decoder = new TextDecoder();
  let [text, bytes] = ['', 0];
  const reader = body?.getReader();
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true };
    if (done || !value) return text + decoder.decode();
    bytes += value.byteLength;
    if (bytes > MOST_BYTES) {
      void reader?.cancel().catch(() => {});
      throw new Error(`the answer is larger than ${MOST_BYTES} bytes`);
    }
    text += decoder.decode(value, { stream: true });
  }
}

function parse(text: string): Answer {
  try {
    return { json: JSON.parse(text) };
  } catch {
    return { denial: failed('not_understood', 'the answer is not JSON') };
  }
}
