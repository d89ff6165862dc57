/** What a resource's attributes are taken from: a part of the request, or a value that the route says. */
import { invalidField } from '../../errors.ts';
import { attributeTypes, canonical, expectedOf, misfit } from '../attributes.ts';
import type { AttributeSpec } from '../policy.ts';
import type { RouteValue } from './route.ts';

/** Where in a request a value is. */
export type Source =
  | { from: 'path' | 'query' | 'header'; name: string }
  /** `keys` is the way through the body, as a JSON pointer (RFC 6901) says it. */
  | { from: 'body'; keys: readonly string[] };

/** A request as its values are read: decoded once, each name there at most once. */
export interface RouteSources {
  path: Readonly<Record<string, string>>;
  query(name: string): string | undefined;
  /** By its name in lower case. */
  header(name: string): string | undefined;
  /** Parsed JSON; undefined: there is none. */
  body: unknown;
}

/** A template read, or why it is none; undefined: it is a literal. */
export type ReadTemplate = { source: Source; problem?: undefined } | { source?: undefined; problem: string };

const FORMS = `$\{path.name}, $\{query.name}, $\{header.name} or $\{body/a/b}`;

/** Reads a template that stands for a whole value. */
export function readTemplate(value: RouteValue): ReadTemplate | undefined {
  if (typeof value !== 'string' || !value.includes(`$\{`)) return undefined;
  const [, inner] = /^\$\{([^{}]*)\}$/.exec(value) ?? [];
  if (inner === undefined)
    return { problem: `a template stands for a whole value: ${FORMS}, and nothing beside it` };
  if (inner.startsWith('body/')) return readPointer(inner.slice('body/'.length));
  const [, from = '', name = ''] = /^(path|query|header)\.(.+)$/s.exec(inner) ?? [];
  if (from === 'path') return { source: { from, name } };
  if (from === 'query' && /^[A-Za-z0-9_.[\]-]{1,100}$/.test(name)) return { source: { from, name } };
  if (from === 'header') return readHeader(name);
  return { problem: `${value} is not a template; there are ${FORMS}` };
}

function readPointer(pointer: string): ReadTemplate {
  if (/~(?![01])/.test(pointer) || /[^\x20-\x7e]/.test(pointer) || pointer.length > 300)
    return { problem: `/${pointer} is not a JSON pointer (RFC 6901)` };
  const keys = pointer.split('/').map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
  return { source: { from: 'body', keys } };
}

/** Headers that say who asks, or that each hop sets for itself: a decision on them would be one on what the client wrote. */
const closedHeaders =
  /^(connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|authorization|cookie|castellan-.*|forwarded|x-forwarded(-.*)?|x-real-ip|x-original(-.*)?|x-rewrite(-.*)?|x-client-ip|x-cluster-client-ip|true-client-ip|cf-connecting-ip|via|expect|x-request-id)$/;

function readHeader(name: string): ReadTemplate {
  if (!/^[a-z0-9-]{1,100}$/.test(name))
    return { problem: `header.${name} must name a header in lower case, of letters, digits and -` };
  if (closedHeaders.test(name))
    return { problem: `header.${name} must not be read: it is about the connection or about who asks` };
  return { source: { from: 'header', name } };
}

/** The value in a request; undefined: it is not there. */
export function valueAt(source: Source, sources: RouteSources): unknown {
  if (source.from === 'body')
    return source.keys.reduce<unknown>((value, key) => below(value, key, source), sources.body);
  if (source.from === 'query') return sources.query(source.name);
  if (source.from === 'header') return sources.header(source.name);
  return Object.hasOwn(sources.path, source.name) ? sources.path[source.name] : undefined;
}

function below(value: unknown, key: string, source: Source): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  if (Array.isArray(value)) return /^(0|[1-9]\d{0,8})$/.test(key) ? value[Number(key)] : undefined;
  const folded = fold(key);
  // Parsers such as Go's take keys without regard to case, and the last of them.
  for (const other of Object.keys(value))
    if (other !== key && fold(other) === folded)
      throw invalidField(
        pointerOf(source),
        'each key on the way must be there in this spelling alone: access is decided on it',
      );
  return Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined;
}

/** Look-alikes of letters too, such as the sign for Kelvin. */
function fold(key: string): string {
  return key.normalize('NFKC').toUpperCase();
}

/** The type that a text of a request can be read as; a list or an object cannot be. */
export function isFromText(spec: AttributeSpec): boolean {
  return spec.type !== 'array' && spec.type !== 'object';
}

/**
 * The value as the attribute declares it. What comes as text is read strictly: a number has one spelling. Throws
 * `invalid_request`, its pointer naming where in the request the value is.
 */
export function convert(given: unknown, source: Source, spec: AttributeSpec): unknown {
  if (given === undefined || (given === null && spec.nullable)) return undefined;
  const value = source.from === 'body' ? given : readText(String(given), spec);
  const isExact = typeof value !== 'number' || !Number.isInteger(value) || Number.isSafeInteger(value);
  const { enum: _values, ...kind } = spec;
  if (value === undefined || !isExact || misfit(value, kind) !== undefined)
    throw invalidField(pointerOf(source), `must be ${attributeTypes[spec.type].expected}`);
  return canonical(value, spec.type, spec.items);
}

function readText(text: string, { type }: AttributeSpec): unknown {
  if (type === 'boolean') return text === 'true' ? true : text === 'false' ? false : undefined;
  if (type === 'integer') return /^(0|-?[1-9]\d{0,15})$/.test(text) ? Number(text) : undefined;
  if (type === 'number')
    return /^-?(0|[1-9]\d{0,15})(\.\d{1,15})?$/.test(text) && !/^-[0.]*$/.test(text)
      ? Number(text)
      : undefined;
  return text;
}

const places = { path: '/params', query: '/query', header: '/headers', body: '/body' };

/** Where a value is, as errors say it. */
function pointerOf(source: Source): string {
  const keys = source.from === 'body' ? source.keys : [source.name];
  return [places[source.from], ...keys.map((key) => key.replaceAll('~', '~0').replaceAll('/', '~1'))].join(
    '/',
  );
}

/** What is wrong with a literal as this attribute; undefined: it fits. */
export function literalMisfit(value: RouteValue, spec: AttributeSpec): string | undefined {
  if (!isStorable(value)) return 'must not hold U+0000 or half of a surrogate pair';
  const misses = misfit(value, spec) !== undefined;
  return misses ? `must be ${expectedOf(spec)}, or a template` : undefined;
}

/** Postgres has no place for some texts. */
function isStorable(value: unknown): boolean {
  if (typeof value === 'string') return !value.includes('\0') && value.isWellFormed();
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(([key, below]) => isStorable(key) && isStorable(below));
}
