/** The default evaluator: CASL decides by its own order, over resources and conditions that are ours. */
import { Ability as CaslAbility, type RawRule } from '@casl/ability';
import type { AccessRequest } from '../decision/access-request.ts';
import type { Evaluator } from '../decision/evaluator.ts';
import { type Ability, type AbilityRule, isAlways, type Principal } from '../policy/ability.ts';
import { isSafePath } from '../policy/condition.ts';
import { ANY_ACTION, ANY_TYPE } from '../policy/policy.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import { groupRules, type RuleGroup } from './rule-index.ts';

export interface CaslOptions {
  /** The ability of a principal under a snapshot, cached or made. */
  abilityOf(snapshot: Snapshot, principal: Principal): Ability | Promise<Ability>;
}

/** Rules that CASL sees as one, and what they are one of. */
interface Group {
  rules: AbilityRule[];
  find: RuleGroup;
}

/** What CASL is asked about: made here for one request, never the caller's object, of the type we say (design 4.1). */
interface Asked {
  request: AccessRequest;
  /** Set by the condition that let CASL's rule match. */
  rule: AbilityRule | undefined;
}

/** CASL with the rules about one action on one type. */
type Casl = CaslAbility<[string, string | Asked], Group>;
interface Compiled {
  casl: Casl;
  /** Whether some resource of the type could be allowed. */
  possible: boolean;
}
type CompiledFor = (action: string, type: string) => Compiled;

export function caslEvaluator({ abilityOf }: CaslOptions): Evaluator {
  const compiled = new WeakMap<Ability, CompiledFor>();
  const compileOnce = (ability: Ability) => compiled.get(ability) ?? add(compiled, ability, compile(ability));
  const withCasl = <T>(
    snapshot: Snapshot,
    principal: Principal,
    use: (compiledFor: CompiledFor) => T,
  ): T | Promise<T> => {
    const ability = abilityOf(snapshot, principal);
    return ability instanceof Promise
      ? ability.then((made) => use(compileOnce(made)))
      : use(compileOnce(ability));
  };
  return {
    name: 'casl',
    evaluate: (snapshot, request) =>
      withCasl(snapshot, request.principal, (compiledFor) => {
        const rule = settlingRule(compiledFor, request);
        if (!rule) return { allow: false, ruleId: null };
        const { effect, id, reason } = rule;
        const allow = effect === 'allow';
        return reason ? { allow, ruleId: id, reason } : { allow, ruleId: id };
      }),
    permittedFields: (snapshot, request, fields) =>
      withCasl(
        snapshot,
        request.principal,
        // An unsafe path is granted by no rule; of an empty one CASL would think that no field was asked about.
        (compiledFor) =>
          new Set(
            fields.filter(
              (field) => isSafePath(field) && settlingRule(compiledFor, request, field)?.effect === 'allow',
            ),
          ),
      ),
    possible: (snapshot, principal, action, type) =>
      withCasl(snapshot, principal, (compiledFor) => compiledFor(action, type).possible),
  };
}

/** Nothing is compiled before it is asked about: most of what somebody may do is not done today. */
function compile({ rules }: Ability): CompiledFor {
  const rulesByType = new Map<string, AbilityRule[]>();
  for (const rule of rules)
    for (const type of rule.subjects) (rulesByType.get(type) ?? add(rulesByType, type, [])).push(rule);
  const rulesAbout = (action: string, type: string) =>
    [...new Set([type, ANY_TYPE])]
      .flatMap((name) => rulesByType.get(name) ?? [])
      .filter(({ actions }) => actions.includes(action) || actions.includes(ANY_ACTION));
  const compiled = new Map<string, Map<string, Compiled>>();
  return (action, type) => {
    const ofType = compiled.get(type) ?? add(compiled, type, new Map());
    const known = ofType.get(action);
    if (known) return known;
    const casl = toCasl(rulesAbout(action, type), action, type);
    return add(ofType, action, { casl, possible: couldEver(casl, action, type) });
  };
}

/** Sets it, for where a map has nothing yet. */
function add<K, V>(map: { set(key: K, value: V): unknown }, key: K, value: V): V {
  map.set(key, value);
  return value;
}

/**
 * CASL's own conditions are not used: its `$lt` matches what is missing, its `$regex` can be made to run for ever, and
 * what it does not know it takes for equality. Its order is: the last rule that matches.
 */
function toCasl(rules: AbilityRule[], action: string, type: string): Casl {
  const rawRules = groupsOf(rules).map((group) => toRawRule(group, action, type));
  return new CaslAbility<[string, string | Asked], Group>(rawRules, {
    conditionsMatcher: (group) => (asked: object) => {
      const question = asked as Asked;
      question.rule = group.find(question.request);
      return question.rule !== undefined;
    },
    fieldMatcher: (fields) => (field) =>
      fields.some((granted) => field === granted || field.startsWith(`${granted}.`)),
    detectSubjectType: (asked) => (asked as Asked).request.resource.type,
    anyAction: ANY_ACTION,
    anySubjectType: ANY_TYPE,
  });
}

function groupsOf(rules: AbilityRule[]): Group[] {
  const groups = new Map<string, AbilityRule[]>();
  for (const rule of rules) {
    const key = JSON.stringify([rule.priority, rule.effect, rule.fields]);
    (groups.get(key) ?? add(groups, key, [])).push(rule);
  }
  return [...groups.values()]
    .map((group) => ({ rules: group, find: groupRules(group) }))
    .sort(byOrderOfRules);
}

/** All rules of a group have one priority and one effect, so groups keep the order of the ability. */
function byOrderOfRules(a: Group, b: Group): number {
  const [first, second] = [a.rules[0], b.rules[0]];
  if (!first || !second || first.priority !== second.priority)
    return (first?.priority ?? 0) - (second?.priority ?? 0);
  return Number(first.effect === 'deny') - Number(second.effect === 'deny');
}

function toRawRule(group: Group, action: string, subject: string): RawRule<[string, string], Group> {
  const [rule] = group.rules;
  if (!rule) throw new Error('a group has at least one rule');
  return {
    action,
    subject,
    inverted: rule.effect === 'deny',
    ...(rule.fields && { fields: [...rule.fields] }),
    conditions: group,
  };
}

/** The rule that settles the request, for one field or as a whole; undefined: none, so denied. */
function settlingRule(
  compiledFor: CompiledFor,
  request: AccessRequest,
  field?: string,
): AbilityRule | undefined {
  const asked: Asked = { request, rule: undefined };
  const { action, resource } = request;
  return compiledFor(action.name, resource.type).casl.relevantRuleFor(action.name, asked, field)
    ? asked.rule
    : undefined;
}

/** Conditions may be met by some resource; only a deny without any rules the action out. */
function couldEver(casl: Casl, action: string, type: string): boolean {
  for (const rule of casl.rulesFor(action, type)) {
    if (!rule.inverted) return true;
    if (!rule.fields && rule.conditions?.rules.some(isUnconditional)) return false;
  }
  return false;
}

function isUnconditional(rule: AbilityRule): boolean {
  return isAlways(rule.condition) && isAlways(rule.when);
}
