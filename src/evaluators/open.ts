/** The evaluators that the settings add to the table. */
import type { Config } from '../config.ts';
import { evaluatorNames, type MoreEvaluators } from './index.ts';
import { loadEvaluators } from './own.ts';
import type { CallOutcome } from './remote/decision-point.ts';
import { openRemote } from './remote/open.ts';

/** Throws ConfigError naming the setting or module that cannot be used. */
export async function openEvaluators(
  config: Pick<Config, 'authzenRemote' | 'evaluators' | 'evaluatorTimeoutMs'>,
  onRemoteCall?: (outcome: CallOutcome) => void,
): Promise<MoreEvaluators> {
  const own = await loadEvaluators(config.evaluators, {
    taken: evaluatorNames,
    timeoutMs: config.evaluatorTimeoutMs,
  });
  return { remote: openRemote(config, onRemoteCall), own };
}
