/** The paths of routes: read into segments, held against each other. */
import { isSafePath } from '../condition.ts';

export type Segment =
  | { kind: 'literal'; text: string }
  /** Exactly one segment that is not empty. */
  | { kind: 'param'; name: string }
  /** One segment or more, to the end. */
  | { kind: 'rest'; name: string };

export type PathTemplate = readonly Segment[];

export interface ReadPath {
  segments: PathTemplate;
  /** What is wrong with it, and what would be right. */
  problem?: string;
}

export const LONGEST_PATH = 1000;
const MOST_SEGMENTS = 64;

/** Reads `/files/:id/*rest`; where it is no template that is accepted, `problem` says why. `/` has no segments. */
export function readPath(path: string): ReadPath {
  const problem = problemOf(path);
  if (problem !== undefined) return { segments: [], problem };
  const parts = path === '/' ? [] : path.slice(1).split('/');
  return { segments: parts.map(toSegment) };
}

function problemOf(path: string): string | undefined {
  if (!path.startsWith('/')) return 'must begin with /';
  if (path.length > LONGEST_PATH) return `must be at most ${LONGEST_PATH} characters`;
  if (path === '/') return undefined;
  const [odd] = /[;%\\?#{}]/.exec(path) ?? [];
  if (odd !== undefined)
    return `must not contain ${odd}${odd === '{' || odd === '}' ? '; a parameter is written :name' : ': a path is matched as it is after decoding, without its query'}`;
  if (/[^\x20-\x7e]/.test(path))
    return 'must hold printable ASCII characters only; let a parameter such as :name stand for the segment';
  if (path.endsWith('/')) return 'must not end with /';
  const parts = path.slice(1).split('/');
  if (parts.length > MOST_SEGMENTS) return `must have at most ${MOST_SEGMENTS} segments`;
  return problemOfParts(parts);
}

function problemOfParts(parts: readonly string[]): string | undefined {
  const names = new Set<string>();
  for (const [index, part] of parts.entries()) {
    if (part === '') return 'must not contain //';
    if (/[. ]$/.test(part)) return `must not have a segment that ends with a dot or a space: ${part}`;
    const isNamed = part.startsWith(':') || part.startsWith('*');
    if (part.includes('*', 1)) return `* can only begin the last segment, as in *rest: ${part}`;
    if (!isNamed) continue;
    const name = part.slice(1);
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || !isSafePath(name))
      return `${part} must have a name of letters, digits and _ that no object inherits, such as ${part[0]}name`;
    if (names.has(name)) return `${name} is there twice`;
    names.add(name);
    if (part.startsWith('*') && index < parts.length - 1) return `${part} must be the last segment`;
  }
  return undefined;
}

function toSegment(part: string): Segment {
  if (part.startsWith(':')) return { kind: 'param', name: part.slice(1) };
  if (part.startsWith('*')) return { kind: 'rest', name: part.slice(1) };
  return { kind: 'literal', text: part };
}

/** The names of its parameters, in order. */
export function namesIn(segments: PathTemplate): string[] {
  return segments.flatMap((segment) => (segment.kind === 'literal' ? [] : [segment.name]));
}

/** Two templates of one shape match the same paths: their parameters may have other names. */
export function shapeOf(segments: PathTemplate): string {
  return `/${segments
    .map((segment) => (segment.kind === 'literal' ? segment.text : segment.kind === 'param' ? ':' : '*'))
    .join('/')}`;
}

/** Whether there is a path that both match. */
export function intersect(a: PathTemplate, b: PathTemplate): boolean {
  for (let at = 0; ; at++) {
    const [one, other] = [a[at], b[at]];
    if (!one || !other) return !one && !other;
    if (one.kind === 'rest' || other.kind === 'rest') return true;
    if (one.kind === 'literal' && other.kind === 'literal' && one.text !== other.text) return false;
  }
}

const ranks = { literal: 0, param: 1, rest: 2 };

/** Whether, of two that match one path, `a` is the one that is taken: segment by segment literal, parameter, rest. */
export function isMoreSpecific(a: PathTemplate, b: PathTemplate): boolean {
  for (let at = 0; at < Math.min(a.length, b.length); at++) {
    const difference = ranks[a[at]?.kind ?? 'rest'] - ranks[b[at]?.kind ?? 'rest'];
    if (difference !== 0) return difference < 0;
  }
  return false;
}
