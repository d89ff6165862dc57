/** Explanations in sentences, for people. */
import type { CedarExplanation, ExplainedRule, Explanation } from './explain.ts';
import type { Failure } from './explain-condition.ts';

type Explained = Omit<Explanation, 'nearest' | 'summary'>;

/** The words for one explanation. */
export function sentencesOf(explained: Explained) {
  return {
    /** What a rule lacks to settle the request, each in a few words. */
    lacks: (rule: ExplainedRule): string[] => lacksOf(rule, explained),
    /** A few sentences: what was decided, by what, and what was nearest to another outcome. */
    summary: (nearest: Explanation['nearest']): string[] => [
      verdict(explained),
      ...(explained.principal.attributes['isActive'] === false
        ? ['The account is deactivated: nobody can be identified as it.']
        : []),
      ...nearest.map(({ ruleId, lacks }) =>
        lacks.length > 0
          ? `Rule ${ruleId} would allow it, but ${lacks.join(', and ')}.`
          : `Rule ${ruleId} allows it, and what denies it ranks higher.`,
      ),
    ],
  };
}

function verdict({ decision, principal, action, resource, rules, cedar }: Explained): string {
  const who =
    principal.type === 'anonymous' ? 'Whoever is not identified' : `${principal.type}:${principal.id}`;
  const id = resource.attributes['id'];
  const what = `${action.name} ${resource.type}${typeof id === 'string' ? `:${id}` : ''}`;
  const head = `${who} ${decision.allow ? 'may' : 'may not'} ${what}`;
  const settled = rules.find(({ outcome }) => outcome === 'settles');
  if (resource.misfits)
    return `${head}: ${resource.misfits.join(', ')} do not fit what is declared, so it is denied.`;
  if (cedar) return `${head}: ${wordsOfCedar(cedar)}.`;
  if (!settled) return `${head}: no rule allows it.`;
  const { id: ruleId, effect, via = [], reason } = settled;
  const by = via.length > 1 ? ` (held through ${via.join(' → ')})` : via[0] ? ` (held as ${via[0]})` : '';
  return `${head}: rule ${ruleId}${by} ${effect === 'allow' ? 'allows' : 'denies'} it${reason ? `: ${reason}` : ''}.`;
}

function wordsOfCedar({ determining, errors }: CedarExplanation): string {
  const [first] = determining;
  const [error] = errors;
  if (error && first?.effect !== 'forbid')
    return `it is in doubt, so it is denied: ${error.id === null ? '' : `the policy ${error.id} of Cedar cannot be evaluated: `}${error.message}`;
  if (!first) return 'no policy of Cedar permits it';
  const { id, effect, reason } = first;
  return `the policy ${id} of Cedar ${effect === 'permit' ? 'permits' : 'forbids'} it${reason ? `: ${reason}` : ''}`;
}

function lacksOf(rule: ExplainedRule, { principal }: Explained): string[] {
  const held =
    rule.outcome === 'not_held'
      ? [
          rule.role
            ? `${principal.type}:${principal.id} does not have the role ${rule.role}`
            : `it is for ${rule.principal}`,
        ]
      : [];
  const there =
    rule.outcome === 'disabled'
      ? ['it is switched off']
      : rule.outcome === 'outside_window'
        ? ['it is not in force at that time']
        : [];
  return [...held, ...there, ...failureWords(rule.failures)];
}

/** Failures of one `$or` are told as one: any of them would do. */
function failureWords(failures: readonly Failure[]): string[] {
  const alone = failures.filter(({ alternative }) => alternative === undefined).map(inWords);
  const numbers = new Set(failures.flatMap(({ alternative }) => alternative ?? []));
  const either = [...numbers].map((number) => failures.filter(({ alternative }) => alternative === number));
  return [...alone, ...either.map((group) => `either ${group.map(inWords).join(' or ')}`)];
}

const relations: Record<string, [is: string, isNot: string]> = {
  $eq: ['is', 'is not'],
  $ne: ['is not', 'is'],
  $lt: ['is less than', 'is not less than'],
  $lte: ['is at most', 'is more than'],
  $gt: ['is more than', 'is not more than'],
  $gte: ['is at least', 'is less than'],
  $in: ['is one of', 'is none of'],
  $nin: ['is none of', 'is one of'],
  $all: ['has all of', 'does not have all of'],
  $size: ['has the size', 'does not have the size'],
  $regex: ['matches', 'does not match'],
  $cidr: ['is in', 'is not in'],
  $elemMatch: ['has such an element', 'has no such element'],
};

function inWords({ path, operator, expected, found, unresolved, negated }: Failure): string {
  if (unresolved !== undefined) return `${unresolved} is not known, which ${path} is compared with`;
  const shown = found === undefined ? 'missing' : text(found);
  if (operator === '$exists') return `${path} is ${found === undefined ? 'missing' : 'there'}`;
  const [is, isNot] = relations[operator] ?? [operator, `not ${operator}`];
  const relation = `${negated ? is : isNot}${expected === undefined ? '' : ` ${text(expected)}`}`;
  return operator === '$eq' || operator === '$in'
    ? `${path} is ${shown}${negated ? '' : `, not ${operator === '$in' ? 'one of ' : ''}${text(expected)}`}`
    : `${path} (${shown}) ${relation}`;
}

const LONGEST = 100;

function text(value: unknown): string {
  const whole = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'missing');
  return whole.length > LONGEST ? `${whole.slice(0, LONGEST)}…` : whole;
}
