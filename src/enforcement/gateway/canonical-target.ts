/** The one reading of a request's target: decoded once, refused where servers could read it in two ways, written anew for the upstream. */
import { invalidField } from '../../errors.ts';
import { isMethodOverride } from './request-facts.ts';

export interface CanonicalTarget {
  /** Decoded; `/` has none. A slash at the end is passed on, but makes no other path of it: servers do not agree on that. */
  segments: readonly string[];
  /** What follows the question mark, as it was sent; undefined: there is none. */
  query: string | undefined;
  /** Path and query as the upstream gets them: what was decided on, and nothing else. */
  url: string;
}

const LONGEST = 8000;

/**
 * Reads an origin-form target (RFC 9112, 3.2.1). Throws `invalid_request` for every other form, and for whatever some
 * server behind would read as another path: fragments, backslashes, `;` parameters, empty and dot segments however they
 * are written, encoded slashes, backslashes, controls and percent signs, text that is not UTF-8, and segments that end in
 * a dot or a space.
 */
export function canonicalTarget(target: string): CanonicalTarget {
  if (!target.startsWith('/')) throw refused('must begin with /: absolute and authority forms are not taken');
  if (target.length > LONGEST) throw refused(`must be at most ${LONGEST} characters`);
  if (/[^\x21-\x7e]/.test(target)) throw refused('must be printable ASCII; encode all else');
  if (target.includes('#')) throw refused('must have no fragment');
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  const query = mark < 0 ? undefined : target.slice(mark + 1);
  const isOpen = path.length > 1 && path.endsWith('/');
  const segments =
    path === '/'
      ? []
      : path
          .slice(1, isOpen ? -1 : undefined)
          .split('/')
          .map(readSegment);
  if (query !== undefined) checkQuery(query);
  const written = `/${segments.map(writeSegment).join('/')}${isOpen ? '/' : ''}`;
  return { segments, query, url: query === undefined ? written : `${written}?${query}` };
}

function readSegment(raw: string): string {
  if (raw === '') throw refused('must not have empty segments');
  if (/[\\;]/.test(raw)) throw refused('must not contain \\ or ;');
  const segment = decode(raw);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
  if (/[/\\\u0000-\u001f\u007f-\u009f]/.test(segment))
    throw refused('must not contain an encoded slash, backslash or control character');
  if (/%[0-9a-f]{2}/i.test(segment)) throw refused('must not be encoded twice');
  if (/[. ]$/.test(segment) || /^\.{0,2}[;?#]/.test(segment))
    throw refused('must not have dot segments, nor segments that end with a dot or a space');
  if (readsAsOther(segment.normalize('NFKC')))
    throw refused('must not have look-alikes of slashes and dot segments');
  return segment;
}

/** Of a segment that holds none as it is: what a server makes of look-alikes (best fit, NFKC). */
function readsAsOther(segment: string): boolean {
  return segment === '.' || segment === '..' || /[/\\]/.test(segment);
}

/** Strictly: no overlong form, no half of a pair, no stray percent sign. */
function decode(raw: string): string {
  if (!raw.includes('%')) return raw;
  try {
    return decodeURIComponent(raw);
  } catch {
    throw refused('is not valid percent-encoded UTF-8');
  }
}

/** Each character that may stand as it is in a segment (RFC 3986, 3.3) does; `;` alone is encoded, since some take it for more. */
function writeSegment(segment: string): string {
  return encodeURIComponent(segment).replace(/%(?:24|26|2B|2C|3A|3D|40)/g, decodeURIComponent);
}

function checkQuery(query: string): void {
  if (/%(?![0-9a-f]{2})|%00/i.test(query)) throw refused('has a query that is not valid percent-encoding');
  for (const name of namesIn(query))
    if (plain(name) === '_method' || isMethodOverride(name))
      throw invalidField(`/query/${name}`, 'must not be there: the method is that of the request');
}

function namesIn(query: string): string[] {
  return query.split(/[&;]/).map((pair) => readText(pair.split('=', 1)[0] ?? ''));
}

/**
 * What a decision reads from the query: each of these names, once. Throws `invalid_request` where one is there twice, or
 * in a spelling that some server takes for the same (`Id`, `id[]`), and where `;` might divide it.
 */
export function queryReader(
  query: string | undefined,
  names: readonly string[],
): (name: string) => string | undefined {
  if (query === undefined || names.length === 0) return () => undefined;
  if (query.includes(';')) throw invalidField('/query', 'must not contain ;');
  const pairs = query.split('&').map((pair): [string, string] => {
    const at = pair.indexOf('=');
    return at < 0 ? [readText(pair), ''] : [readText(pair.slice(0, at)), readText(pair.slice(at + 1))];
  });
  const values = new Map<string, string>();
  for (const name of names) {
    const meant = pairs.filter(([key]) => plain(key) === plain(name));
    if (meant.length > 1 || meant.some(([key]) => key !== name))
      throw invalidField(
        `/query/${name}`,
        'must be there once and in this spelling: access is decided on it',
      );
    if (meant[0]) values.set(name, meant[0][1]);
  }
  return (name) => values.get(name);
}

/** As the laxest server reads it: without regard to case, and a list for what it is a list of. */
function plain(name: string): string {
  return name.toLowerCase().trim().replace(/\[.*$/s, '').replace(/[. ]/g, '_');
}

function readText(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw invalidField('/query', 'is not valid percent-encoded UTF-8');
  }
}

function refused(message: string) {
  return invalidField('/path', `the path ${message}`);
}
