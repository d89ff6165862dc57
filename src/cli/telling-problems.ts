/** Long work on a policy that may have problems. */
import { AppError } from '../errors.ts';
import { ProblemsFound } from './failure.ts';
import { type Progress, showProgress } from './progress.ts';

/** Does long work. Throws ProblemsFound where the policy has problems, with what came of it, and what else the work throws. */
export async function tellingProblems(
  outcome: string,
  work: (progress: Progress) => Promise<void>,
): Promise<void> {
  const progress = showProgress();
  try {
    await work(progress);
  } catch (cause) {
    progress.end();
    throw cause instanceof AppError && cause.problems ? new ProblemsFound(cause.problems, outcome) : cause;
  }
}
