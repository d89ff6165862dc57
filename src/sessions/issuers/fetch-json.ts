/** JSON that an issuer publishes: fetched without following anybody elsewhere, of bounded size. */

/** A set of keys or metadata are a few KiB. The other side may be wrong or hostile; memory is ours. */
const MOST_BYTES = 256 * 1024;

/** Undefined: there is nothing there (404). Throws for every other answer than 200 with JSON; redirects are not followed. */
export async function fetchJson(url: string, signal: AbortSignal): Promise<unknown> {
  const headers = { accept: 'application/json, application/jwk-set+json' };
  const response = await fetch(url, { redirect: 'manual', signal, headers });
  if (response.status !== 200) {
    await response.body?.cancel();
    if (response.status === 404) return undefined;
    throw new Error(`${url} answered ${response.status}`);
  }
  const text = await readBounded(response, url);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`${url} answered no JSON`, { cause });
  }
}

async function readBounded({ body }: Response, url: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    // Leaving the loop cancels the rest: it is not read.
    if (bytes > MOST_BYTES) throw new Error(`${url} answered more than ${MOST_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
