/** One HTTP call to the other decision point: kept-alive connections, one deadline, an answer of bounded size. */
import { type Agent, type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';

export interface Call {
  url: URL;
  agent: Agent;
  headers: Readonly<Record<string, string>>;
  body: string;
  /** Aborted when the time is over. */
  signal: AbortSignal;
}

/** Why there is no usable answer. */
export class RemoteError extends Error {
  override name = 'RemoteError';
  /** Whether asking once more could help: nobody was reached, or somebody before it said that it is away. */
  readonly retry: boolean;
  /** Whether it is the other side that fails, and not what it was asked. */
  readonly isFailure: boolean;
  /** Whether it does not take what it was asked, or not so much at once. */
  readonly isRefused: boolean;

  constructor(
    message: string,
    options: { retry?: boolean; isFailure?: boolean; isRefused?: boolean; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.retry = options.retry ?? false;
    this.isFailure = options.isFailure ?? true;
    this.isRefused = options.isRefused ?? false;
  }
}

/** The other side may be wrong or hostile; memory is ours. A batch of 50 answers with reasons is far below it. */
const MOST_BYTES = 1024 * 1024;
const AWAY = [502, 503, 504];
const REFUSED = [400, 413, 422];

/**
 * The JSON of a 200. Throws RemoteError for everything else; redirects are not followed. It settles when the signal is
 * aborted, whatever the connection does: a request that waits for one of the agent's sockets is told of nothing.
 */
export async function post(call: Call): Promise<unknown> {
  return Promise.race([exchange(call), timeOver(call.signal)]);
}

async function exchange(call: Call): Promise<unknown> {
  const { signal } = call;
  const explain = (cause: unknown) => {
    throw cause instanceof RemoteError ? cause : lost(cause, signal);
  };
  const response = await responseTo(call).catch(explain);
  return answerOf(response, await readBounded(response).catch(explain));
}

function responseTo({ url, agent, headers, body, signal }: Call): Promise<IncomingMessage> {
  const send = url.protocol === 'https:' ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    send(url, {
      method: 'POST',
      agent,
      signal,
      headers: {
        ...headers,
        'content-type': 'application/json',
        accept: 'application/json',
        'content-length': String(Buffer.byteLength(body)),
      },
    })
      .once('response', resolve)
      // It was not asked for, and neither a response nor an error follows on it.
      .once('upgrade', ({ statusCode }, socket) => {
        socket.destroy();
        reject(new RemoteError(`it answered ${statusCode}`));
      })
      .once('error', reject)
      .once('close', () => reject(new Error('closed without an answer')))
      .end(body);
  });
}

/** Never resolves. */
function timeOver(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const over = () => reject(lost(signal.reason, signal));
    if (signal.aborted) over();
    else signal.addEventListener('abort', over, { once: true });
  });
}

function lost(cause: unknown, signal: AbortSignal): RemoteError {
  if (signal.aborted) return new RemoteError('it did not answer in time', { cause });
  const said = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
  return new RemoteError(`it cannot be reached${said}`, { cause, retry: true });
}

async function readBounded(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += chunk.length;
    // Leaving the loop destroys the connection: what is left is not read.
    if (bytes > MOST_BYTES) throw new RemoteError(`its answer is larger than ${MOST_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function answerOf({ statusCode = 0 }: IncomingMessage, text: string): unknown {
  if (AWAY.includes(statusCode)) throw new RemoteError(`it answered ${statusCode}`, { retry: true });
  if (statusCode >= 300 && statusCode < 400)
    throw new RemoteError(`it answered ${statusCode}; redirects are not followed`);
  if (statusCode !== 200)
    throw new RemoteError(`it answered ${statusCode}`, {
      isFailure: statusCode >= 500,
      isRefused: REFUSED.includes(statusCode),
    });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new RemoteError('its answer is not JSON', { cause });
  }
}
