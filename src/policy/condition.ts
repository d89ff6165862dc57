/** A condition as a tree: what `conditions` and `when` are parsed into, once, and everything else works on. Plain JSON. */

/** Stands for a whole value of the principal: `${principal.<path>}`. */
export interface Template {
  template: string;
}

export type Scalar = string | number | boolean;
export type Operand = Scalar | Template | (Scalar | Template)[];

export type TestOperator =
  | '$eq'
  | '$ne'
  | '$lt'
  | '$lte'
  | '$gt'
  | '$gte'
  | '$in'
  | '$nin'
  | '$all'
  | '$size'
  | '$exists'
  | '$regex'
  | '$cidr';

export type Condition =
  | { kind: 'all'; of: Condition[] }
  | { kind: 'any'; of: Condition[] }
  | { kind: 'not'; of: Condition }
  /** An array with an element that meets `of`; tests on the element itself have the path ''. */
  | { kind: 'element'; path: string; of: Condition }
  | { kind: 'test'; path: string; operator: TestOperator; value: Operand }
  | { kind: 'fixed'; value: boolean };

export const ALWAYS: Condition = Object.freeze({ kind: 'fixed', value: true });
export const NEVER: Condition = Object.freeze({ kind: 'fixed', value: false });

const templatePattern = /^\$\{principal\.([^{}]+)\}$/;

/** The template in a string of the form `${principal.x}`, if it is one. */
export function templateIn(value: unknown): Template | undefined {
  const match = typeof value === 'string' ? templatePattern.exec(value) : null;
  return match?.[1] === undefined ? undefined : { template: match[1] };
}

export function isTemplate(value: unknown): value is Template {
  return typeof value === 'object' && value !== null && 'template' in value;
}

/** All of them, with what is fixed folded away. */
export function allOf(conditions: Condition[]): Condition {
  const open: Condition[] = [];
  for (const condition of conditions) {
    if (condition.kind === 'fixed') {
      if (!condition.value) return NEVER;
    } else if (condition.kind === 'all') open.push(...condition.of);
    else open.push(condition);
  }
  if (open.length === 0) return ALWAYS;
  return open.length === 1 && open[0] ? open[0] : { kind: 'all', of: open };
}

/** Any of them, with what is fixed folded away. */
export function anyOf(conditions: Condition[]): Condition {
  const open: Condition[] = [];
  for (const condition of conditions) {
    if (condition.kind === 'fixed') {
      if (condition.value) return ALWAYS;
    } else if (condition.kind === 'any') open.push(...condition.of);
    else open.push(condition);
  }
  if (open.length === 0) return NEVER;
  return open.length === 1 && open[0] ? open[0] : { kind: 'any', of: open };
}

/** The opposite, with what is fixed folded away. */
export function notOf(condition: Condition): Condition {
  if (condition.kind === 'fixed') return condition.value ? NEVER : ALWAYS;
  return condition.kind === 'not' ? condition.of : { kind: 'not', of: condition };
}

/** Every test in the tree, elements' tests included. */
export function* testsOf(condition: Condition): Generator<Extract<Condition, { kind: 'test' }>> {
  if (condition.kind === 'test') yield condition;
  else if (condition.kind === 'all' || condition.kind === 'any')
    for (const part of condition.of) yield* testsOf(part);
  else if (condition.kind === 'not' || condition.kind === 'element') yield* testsOf(condition.of);
}

/** Every path that the condition reads, those of elements included; paths within an element are not told. */
export function pathsOf(condition: Condition): string[] {
  switch (condition.kind) {
    case 'all':
    case 'any':
      return condition.of.flatMap(pathsOf);
    case 'not':
      return pathsOf(condition.of);
    case 'element':
    case 'test':
      return [condition.path];
    case 'fixed':
      return [];
  }
}

/** The paths of the principal that its templates stand for. */
export function templatesOf(condition: Condition): string[] {
  return [...testsOf(condition)].flatMap(({ value }) =>
    [value].flat().flatMap((item) => (isTemplate(item) ? [item.template] : [])),
  );
}

const pathPattern = /^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$/;
const pollutingNames = new Set([...Object.getOwnPropertyNames(Object.prototype), 'prototype']);

/** Whether a dotted path is well formed and names nothing that objects inherit (prototype pollution). */
export function isSafePath(path: string): boolean {
  return pathPattern.test(path) && !path.split('.').some((segment) => pollutingNames.has(segment));
}
