/** The evaluators that commands know: those of the settings, as the gateway has them. */
import { loadConfig } from '../config.ts';
import type { DecisionsAt } from '../decision/run-cases.ts';
import { decisionsAt } from '../evaluators/decisions-at.ts';
import { namesWith } from '../evaluators/index.ts';
import { openEvaluators } from '../evaluators/open.ts';

export interface CommandEvaluators {
  names: readonly string[];
  decisionsAt: DecisionsAt;
}

/** Throws ConfigError. Connections to another decision point end by themselves. */
export async function commandEvaluators(config = loadConfig()): Promise<CommandEvaluators> {
  const more = await openEvaluators(config);
  return { names: namesWith(more), decisionsAt: (atMs) => decisionsAt(atMs, more) };
}
