/** The answer to an access request. */
export interface Decision {
  allow: boolean;
  /** Why, for people: the rule author's words where there are some. */
  reason: string;
  /** The rule that settled it; null where none did. */
  ruleId: string | null;
  revision: number;
}
