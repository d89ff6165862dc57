/** Targets that are refused whatever stands before or after their slashes. */
import { rawRequest } from '../../http/gateway/upstream.ts';
import { assertRefused } from './arrived.ts';
import { as, field } from './field.ts';

/** Each is refused, for somebody who may do what is open. */
export async function refuses(targets: readonly string[]): Promise<void> {
  const { attack, user } = await field();
  for (const target of targets)
    assertRefused(await attack(rawRequest(target, { headers: [as(user.client)] })), target);
}
