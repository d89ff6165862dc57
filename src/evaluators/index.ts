/** The table of evaluators: one line each. */
import type { Evaluator } from '../decision/evaluator.ts';
import { type CaslOptions, caslEvaluator } from './casl.ts';
import { cedarEvaluator } from './cedar.ts';

const makers = {
  casl: caslEvaluator,
  cedar: cedarEvaluator,
} as const satisfies Record<string, (options: EvaluatorOptions) => Evaluator>;

export type EvaluatorOptions = CaslOptions;

/** The names a resource type may ask for. */
export const evaluatorNames: readonly string[] = Object.keys(makers);

/** One of each, by name. */
export function makeEvaluators(options: EvaluatorOptions): ReadonlyMap<string, Evaluator> {
  return new Map(Object.entries(makers).map(([name, make]) => [name, make(options)]));
}
