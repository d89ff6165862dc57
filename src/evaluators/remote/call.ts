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

  constructor(message: string, options: { retry?: boolean; isFailure?: boolean; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.retry = options.retry ?? false;
    this.isFailure = options.isFailure ?? true;
  }
}

/** The other side may be wrong or hostile; memory is ours. A batch of 50 answers with reasons is far below it. */
const MOST_BYTES = 1024 * 1024;
const AWAY = [502, 503, 504];

/** The JSON of a 200. Throws RemoteError for everything else; redirects are not followed. */
export async function post({ url, agent, headers, body, signal }: Call): Promise<unknown> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const send = url.protocol === 'https:' ? requestHttps : requestHttp;
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
      .once('error', reject)
      .end(body);
  }).catch((cause) => {
    throw lost(cause, signal);
  });
  const text = await readBounded(response).catch((cause) => {
    throw cause instanceof RemoteError ? cause : lost(cause, signal);
  });
  return answerOf(response, text);
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
    throw new RemoteError(`it answered ${statusCode}`, { isFailure: statusCode >= 500 });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new RemoteError('its answer is not JSON', { cause });
  }
}
