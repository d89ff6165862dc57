/** API keys for the tests of administration. */
import { Client, type TestGateway } from '../../harness.ts';
import { fresh, ok } from './staff.ts';

export const keysPath = '/api/v1/admin/api-keys';

/** What is answered of a key; tests look at single properties. */
export interface Minted {
  id: string;
  token: string;
  // biome-ignore lint/suspicious/noExplicitAny: as in the harness
  apiKey: any;
  /** Whoever has the token. */
  client: Client;
}

/** A new key by `minter`, and a client that identifies by it. */
export async function mint(
  { url }: Pick<TestGateway, 'url'>,
  minter: Client,
  { name = fresh('key'), roles = [], ...rest }: { name?: string; roles?: string[]; expiresAt?: string } = {},
): Promise<Minted> {
  const { body } = ok(await minter.post(keysPath, { name, roles, ...rest }), 201);
  return { id: body.apiKey.id, ...body, client: new Client(url, body.token) };
}
