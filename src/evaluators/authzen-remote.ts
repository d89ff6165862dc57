/** The evaluator that asks another AuthZEN decision point. */
import type { Evaluator } from '../decision/evaluator.ts';
import { allOrNothing } from './all-or-nothing.ts';
import type { RemotePoint } from './remote/decision-point.ts';
import { questionOf } from './remote/messages.ts';

export const REMOTE = 'authzen-remote';

export interface RemoteOptions {
  /** Where it is configured; without it everything is in doubt, and denied. */
  remote?: RemotePoint | undefined;
}

export function remoteEvaluator({ remote }: RemoteOptions): Evaluator {
  return allOrNothing(REMOTE, async (_snapshot, request) => {
    if (!remote) throw new Error(`${REMOTE} is not configured on this node: AUTHZEN_REMOTE_URL is not set`);
    return remote.ask(questionOf(request, remote.settings.rolesProperty));
  });
}
