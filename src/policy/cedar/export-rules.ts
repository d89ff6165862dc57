/** Castellan's rules as policies of Cedar, where they can be said; what cannot is told, and never widens. */
import { API_KEY_TYPE, actionFacts, contextFacts, principalFacts } from '../built-in.ts';
import { ANY_ACTION, ANY_TYPE, type AttributeSpec, type ResourceType, type Rule } from '../policy.ts';
import type { CompiledRule, Snapshot } from '../snapshot.ts';
import { expressionOf, joined, type Place, type Places } from './expression.ts';
import { attributeOf, comparedAs, InexpressibleError, inexpressible, stringLiteral } from './literals.ts';
import { cedarTypeOf } from './names.ts';

export interface CedarExport {
  text: string;
  /** Rules that are not there, or deny more than they say, and why. */
  omitted: { ruleId: string; why: string }[];
}

/**
 * Policies that decide as the rules do, for every request that Cedar can be asked. An allow that cannot be said is left
 * out; a deny that cannot be said forbids whatever it could be about.
 */
export function exportRules(snapshot: Snapshot): CedarExport {
  const omitted: CedarExport['omitted'] = [];
  const said: Said[] = [];
  for (const rule of [...snapshot.rules.values()].sort((a, b) => (a.id < b.id ? -1 : 1))) {
    if (!rule.source.enabled) {
      omitted.push({ ruleId: rule.id, why: 'is switched off' });
      continue;
    }
    try {
      said.push(say(rule, snapshot));
    } catch (cause) {
      if (!(cause instanceof InexpressibleError)) throw cause;
      omitted.push({ ruleId: rule.id, why: cause.message });
      if (rule.effect === 'deny') said.push(sayHead(rule, snapshot));
    }
  }
  const allows = said.filter(({ rule }) => rule.effect === 'allow');
  const notes = omitted.map(({ ruleId, why }) => `// Not said in Cedar: ${ruleId} ${why}\n`);
  const text = [...notes, ...said.map((one) => policyText(one, allows))].join('\n');
  return { text, omitted };
}

/** A rule in Cedar's words. */
interface Said {
  rule: CompiledRule;
  head: string;
  conditions: string[];
  /** Head and conditions as one expression. */
  whole: string;
}

function policyText({ rule, head, conditions }: Said, allows: readonly Said[]): string {
  const effect = rule.effect === 'allow' ? 'permit' : 'forbid';
  const reason = rule.reason === undefined ? '' : ` @reason(${stringLiteral(rule.reason)})`;
  const above =
    rule.effect === 'allow'
      ? []
      : allows.filter((other) => other.rule.priority > rule.priority && meet(other.rule, rule));
  const when = conditions.length > 0 ? `\nwhen { ${conditions.join(' && ')} }` : '';
  // In Cedar a forbid beats every permit; here an allow of higher priority beats a deny.
  const unless =
    above.length > 0
      ? `\nunless { ${joined(
          above.map(({ whole }) => whole),
          '||',
        )} }`
      : '';
  return `@id(${stringLiteral(rule.id)})${reason}\n${effect} (${head})${when}${unless};\n`;
}

function meet(a: CompiledRule, b: CompiledRule): boolean {
  const share = (one: readonly string[], other: readonly string[], any: string) =>
    one.includes(any) || other.includes(any) || one.some((name) => other.includes(name));
  return share(a.actions, b.actions, ANY_ACTION) && share(a.subjects, b.subjects, ANY_TYPE);
}

/** A rule with all that it says. Throws InexpressibleError. */
function say(rule: CompiledRule, snapshot: Snapshot): Said {
  if (rule.fields) inexpressible('is about fields, which Cedar does not have');
  if (Number.isFinite(rule.validFromMs) || Number.isFinite(rule.validUntilMs))
    inexpressible('is there for a time only');
  if (rule.effect === 'allow' || rule.reason !== undefined) stringLiteral(rule.reason ?? '');
  const unknown = rule.effect === 'deny';
  const ofPrincipal = principalPlaces(rule, snapshot);
  const conditions = expressionOf(
    rule.condition,
    { at: resourcePlaces(rule, snapshot), ofPrincipal },
    unknown,
  );
  const when = expressionOf(rule.when, { at: whenPlaces(ofPrincipal), ofPrincipal }, unknown);
  return withHead(
    rule,
    snapshot,
    [conditions, when].filter((text) => text !== 'true'),
  );
}

/** All that it could be about. */
function sayHead(rule: CompiledRule, snapshot: Snapshot): Said {
  return withHead({ ...rule, reason: undefined }, snapshot, []);
}

function withHead(rule: CompiledRule, snapshot: Snapshot, said: string[]): Said {
  const principal = principalHead(rule.source, snapshot);
  const action = actionHead(rule.actions);
  const types = rule.subjects.includes(ANY_TYPE)
    ? []
    : rule.subjects.map((type) => `resource is ${cedarTypeOf(type)}`);
  const [only] = types;
  const conditions = types.length > 1 ? [joined(types, '||'), ...said] : said;
  const resource = types.length === 1 && only ? only : 'resource';
  const heads = [principal, action, resource].filter((text) => text.includes(' '));
  return {
    rule,
    head: `${principal}, ${action}, ${resource}`,
    conditions,
    whole: joined([...heads, ...conditions], '&&'),
  };
}

function principalHead({ role, principal = '' }: Rule, { types }: Snapshot): string {
  if (role !== undefined) return `principal in Role::${stringLiteral(role)}`;
  const [type = ''] = principal.split(':');
  const id = principal.slice(type.length + 1);
  const isUuid = types.get(type)?.attributes['id']?.type === 'uuid';
  return `principal == ${cedarTypeOf(type)}::${stringLiteral(isUuid ? id.toLowerCase() : id)}`;
}

function actionHead(actions: readonly string[]): string {
  if (actions.includes(ANY_ACTION)) return 'action';
  const names = actions.map((action) => `Action::${stringLiteral(action)}`);
  return names.length === 1 ? `action == ${names[0]}` : `action in [${names.join(', ')}]`;
}

/** Attributes of the rule's resource types; of all types, only what every one has. */
function resourcePlaces({ subjects }: CompiledRule, { types }: Snapshot): Places['at'] {
  const about = subjects.includes(ANY_TYPE)
    ? [...types.values()]
    : subjects.flatMap((name) => types.get(name) ?? []);
  return (path) =>
    placeOf(
      'resource',
      path,
      about.map((type) => specIn(type, path)),
    );
}

function specIn({ attributes }: ResourceType, name: string): AttributeSpec | undefined {
  return Object.hasOwn(attributes, name) ? attributes[name] : name === 'id' ? { type: 'string' } : undefined;
}

function placeOf(of: string, path: string, specs: readonly (AttributeSpec | undefined)[]): Place {
  if (path.includes('.')) return inexpressible(`asks what lies within an object (${path})`);
  const declared = specs.filter((spec) => spec !== undefined);
  const [spec] = declared;
  const kinds = new Set(
    declared.map(({ type, items }) => `${comparedAs[type] ?? type} ${items && comparedAs[items]}`),
  );
  if (!spec || kinds.size > 1) return inexpressible(`asks about ${path}, which has no one type`);
  return { ...attributeOf(of, path), spec };
}

/** What every principal has, and attributes that are declared, whatever type of principal asks. */
function principalPlaces({ source }: CompiledRule, { types, rules }: Snapshot): Places['ofPrincipal'] {
  return (path) => {
    const fact = Object.hasOwn(principalFacts, path) ? principalFacts[path] : undefined;
    if (fact) return { value: attributeOf('principal', path).value, has: undefined, spec: fact };
    if (mayBeOfUnknownType(source, types, rules))
      return inexpressible(
        `asks about principal.${path}, and who asks may be of a type that is not declared`,
      );
    return placeOf(
      'principal',
      path,
      [...types.values()].map((type) => specIn(type, path)),
    );
  };
}

/** Rules can be for principals of types that nobody declared; such have no roles but the built-in ones. */
function mayBeOfUnknownType(
  { role, principal }: Rule,
  types: Snapshot['types'],
  rules: Snapshot['rules'],
): boolean {
  const isUnknown = (who: string | undefined) => {
    const [type = ''] = who?.split(':') ?? [];
    return who !== undefined && type !== API_KEY_TYPE && !types.has(type);
  };
  if (principal !== undefined) return isUnknown(principal);
  if (role !== 'everyone' && role !== 'authenticated') return false;
  return [...rules.values()].some(({ source }) => isUnknown(source.principal));
}

/** Paths of `when`: of the principal, of the action its name, of the context what has a known type. */
function whenPlaces(ofPrincipal: Places['ofPrincipal']): Places['at'] {
  return (path) => {
    const [root = '', ...below] = path.split('.');
    const name = below.join('.');
    if (root === 'principal') return ofPrincipal(name);
    if (root === 'action' && Object.hasOwn(actionFacts, name))
      return { value: 'context.action.name', has: undefined, spec: { type: 'string' } };
    const spec = root === 'context' && Object.hasOwn(contextFacts, name) ? contextFacts[name] : undefined;
    if (!spec) return inexpressible(`asks about ${path}, whose type is not declared`);
    return { ...attributeOf('context', name), spec };
  };
}
