/** The answer to an access request. */
import { AppError } from '../errors.ts';

/** An answer, and by what it was given. */
export interface Decision {
  allow: boolean;
  /** Why, for people: the rule author's words where there are some. */
  reason: string;
  /** The rule that settled it; null where none did. */
  ruleId: string | null;
  revision: number;
  /** By which it is found in the decision log; absent where the log does not keep it. */
  id?: string;
}

/** 403 `access_denied` by this decision: with its reason, unless other words are given, and the id in the log. */
export function accessDenied({ reason, id }: Decision, message = reason): AppError {
  return new AppError('access_denied', { message, ...(id !== undefined && { decisionId: id }) });
}
