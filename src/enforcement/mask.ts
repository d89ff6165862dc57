/** Replies without the fields that may not be read. */
import type { AccessRequest } from '../decision/access-request.ts';
import type { DecisionPoint } from '../decision/decide.ts';
import type { Snapshot } from '../policy/snapshot.ts';

/**
 * A copy of `shown` with only what the request's action is granted on. Top-level fields that are not attributes of the
 * type are left out too: what the policy does not know it cannot grant. Below an attribute, rules may name parts.
 */
export async function maskFields<T extends object>(
  decisions: DecisionPoint,
  snapshot: Snapshot,
  request: AccessRequest,
  shown: T,
): Promise<Partial<T>> {
  const tops = Object.keys(shown).filter((field) => field === 'id' || isAttribute(snapshot, request, field));
  const parts = partsNamed(snapshot, request.resource.type);
  const permitted = await decisions.permittedFields(snapshot, request, [...tops, ...parts]);
  const masked: Record<string, unknown> = {};
  for (const field of tops)
    if (permitted.has(field)) masked[field] = (shown as Record<string, unknown>)[field];
  return parts.reduce<unknown>(
    (so, path) => withPart(path.split('.'), permitted.has(path), shown, so),
    masked,
  ) as Partial<T>;
}

/**
 * As `maskFields`, for what has more than the attributes of its type, such as a rule its conditions: rules cannot name
 * the rest, so it is shown to those who may read the whole.
 */
export async function showReadable<T extends object>(
  decisions: DecisionPoint,
  snapshot: Snapshot,
  request: AccessRequest,
  shown: T,
): Promise<Partial<T>> {
  const permitted = await decisions.permittedFields(snapshot, request, Object.keys(shown));
  return Object.fromEntries(Object.entries(shown).filter(([field]) => permitted.has(field))) as Partial<T>;
}

function isAttribute(snapshot: Snapshot, request: AccessRequest, field: string): boolean {
  return Object.hasOwn(snapshot.types.get(request.resource.type)?.attributes ?? {}, field);
}

const partsBySnapshot = new WeakMap<Snapshot, Map<string, string[]>>();

/** The dotted paths that any rule about the type names, shortest first. */
export function partsNamed(snapshot: Snapshot, type: string): string[] {
  const known = partsBySnapshot.get(snapshot) ?? new Map<string, string[]>();
  partsBySnapshot.set(snapshot, known);
  const found = known.get(type);
  if (found) return found;
  const about = [...snapshot.rules.values()].filter(({ subjects }) => subjects.includes(type));
  const paths = new Set(about.flatMap(({ fields }) => fields ?? []).filter((field) => field.includes('.')));
  const sorted = [...paths].sort((a, b) => a.length - b.length);
  known.set(type, sorted);
  return sorted;
}

/** What is shown so far, with a part that is granted, without one that is not; in a list, of each of its elements. */
function withPart([name = '', ...below]: string[], granted: boolean, from: unknown, so: unknown): unknown {
  if (so === undefined && !granted) return undefined;
  if (Array.isArray(from)) {
    const soFar: unknown[] = Array.isArray(so) ? so : from.map(() => ({}));
    return from.map((item, index) => withPart([name, ...below], granted, item, soFar[index]));
  }
  if (!isObject(from) || !Object.hasOwn(from, name)) return so;
  const copy = isObject(so) ? { ...so } : {};
  if (below.length > 0) copy[name] = withPart(below, granted, from[name], copy[name]);
  else if (granted) copy[name] = from[name];
  else delete copy[name];
  if (copy[name] === undefined) delete copy[name];
  return copy;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
