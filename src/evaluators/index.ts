/** The table of evaluators: one line each. */
import type { Evaluator } from '../decision/evaluator.ts';
import { type RemoteOptions, remoteEvaluator } from './authzen-remote.ts';
import { type CaslOptions, caslEvaluator } from './casl.ts';
import { cedarEvaluator } from './cedar.ts';

const makers = {
  casl: caslEvaluator,
  cedar: cedarEvaluator,
  'authzen-remote': remoteEvaluator,
} as const satisfies Record<string, (options: EvaluatorOptions) => Evaluator>;

/** What this process has of evaluators beside their table. */
export interface MoreEvaluators extends RemoteOptions {
  /** A team's own, by names that the table does not have. */
  own?: readonly Evaluator[];
}

/** What evaluators are made of beside the snapshot and the request. */
export interface EvaluatorOptions extends CaslOptions, MoreEvaluators {}

/** The names a resource type may ask for, beside those of a team's own. */
export const evaluatorNames: readonly string[] = Object.keys(makers);

/** One of each, by name. */
export function makeEvaluators(options: EvaluatorOptions): ReadonlyMap<string, Evaluator> {
  const evaluators = [...Object.values(makers).map((make) => make(options)), ...(options.own ?? [])];
  return new Map(evaluators.map((evaluator) => [evaluator.name, evaluator]));
}

/** The names a resource type may ask for in this process. */
export function namesWith({ own = [] }: MoreEvaluators): readonly string[] {
  return [...evaluatorNames, ...own.map(({ name }) => name)];
}
