/** A gateway in a process of its own, as `npm start` runs it, and a client that keeps its connections. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface Node {
  url: string;
  stop(): Promise<void>;
}

const main = fileURLToPath(new URL('../src/main.js', import.meta.url));

/** Starts a node on a free port. Its settings are the defaults but for `env`; it logs nothing. */
export async function startNode(databaseUrl: string, env: Record<string, string> = {}): Promise<Node> {
  const child = spawn(process.execPath, [main], {
    env: {
      ...process.env,
      ...env,
      DATABASE_URL: databaseUrl,
      HOST: '127.0.0.1',
      PORT: '0',
      LOG_LEVEL: 'error',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  let said = '';
  for await (const chunk of child.stdout) {
    said += chunk;
    if (said.includes('\n')) break;
  }
  const [, port] = /:(\d+)/.exec(said) ?? [];
  if (!port) throw new Error(`the node did not start: ${said}`);
  return {
    url: `http://127.0.0.1:${port}`,
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** Sends JSON, on a connection that is kept; throws unless the answer has the status that is expected. */
export async function send(
  url: string,
  {
    method = 'GET',
    token,
    body,
    expect,
  }: { method?: string; token?: string; body?: object; expect?: number },
): Promise<Response> {
  const response = await fetch(url, {
    method,
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body && { 'content-type': 'application/json' }),
    },
    ...(body && { body: JSON.stringify(body) }),
  });
  if (expect !== undefined && response.status !== expect)
    throw new Error(`${method} ${url} answered ${response.status} ${await response.text()}`);
  return response;
}

/** Logs in; the token. */
export async function logIn(node: Node, email: string, password: string): Promise<string> {
  const answer = await send(`${node.url}/api/v1/auth/login`, {
    method: 'POST',
    body: { email, password },
    expect: 200,
  });
  const { token } = (await answer.json()) as { token: string };
  return token;
}
