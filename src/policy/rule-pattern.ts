/** Patterns of rules: how large they are, counted before they are compiled, and each compiled once. */
import { LRUCache } from 'lru-cache';
import { RE2JS } from 're2js';

/**
 * Reading a pattern, and matching it, takes as long as its program is large: of so many pieces, RE2 reads it in about a
 * millisecond and matches a hundred thousand characters in about a second; PostgreSQL needs tenths of a second to read it,
 * and many seconds for twice as many.
 */
export const MOST_PIECES = 400;

/** A class of Unicode is hundreds of ranges, read wherever it stands; repeated, it is read once. */
const UNICODE_CLASS_PIECES = 20;

/** In turn: a quotation; what has one piece in several characters; a class; flags; the beginning of a group; a bound. */
const tokens = new RegExp(
  [
    String.raw`\\Q[\s\S]*?(?:\\E|$)`,
    String.raw`\\[pP]\{[^}]*\}|\\[pP][\s\S]|\\x\{[^}]*\}|\\x[0-9A-Fa-f]{2}|\\[0-7]{1,3}|\\[\s\S]`,
    String.raw`\[\^?\]?(?:\[:\^?\w+:\]|\\[\s\S]|[^\]\\])*\]`,
    String.raw`\(\?[A-Za-z-]+\)`,
    String.raw`\((?:\?(?:P?<\w+>|[A-Za-z-]*:))?`,
    String.raw`\{\d+(?:,\d*)?\}`,
    String.raw`[\s\S]`,
  ].join('|'),
  'gu',
);

/** How many pieces a pattern of RE2 has, its bounds multiplied out; NaN where its groups do not fit together. */
export function patternSize(pattern: string): number {
  const pieces = [...pattern.matchAll(tokens)].flatMap(([token]) => {
    if (token.startsWith('\\Q')) return [...token.slice(2).replace(/\\E$/, '')].map((char) => `\\${char}`);
    return /^\(\?[A-Za-z-]+\)$/.test(token) ? [] : [token];
  });
  const unicodeClasses = pattern.match(/\\[pP]/g)?.length ?? 0;
  return countPieces(pieces) + unicodeClasses * UNICODE_CLASS_PIECES;
}

/** How many pieces there are when each bound is multiplied out. A class and an escape are one; `(` and `(?…` begin a group. */
export function countPieces(pieces: readonly string[]): number {
  const open = [0];
  let last = 0;
  const add = (size: number) => void open.push((open.pop() ?? Number.NaN) + size);
  for (const piece of pieces) {
    const bound = /^\{\d/.test(piece) ? boundsOf(piece) : undefined;
    if (bound) {
      // What is repeated may be repeated again: flags and empty quotations between the bounds are no pieces.
      const most = Math.max(1, ...bound);
      add(last * (most - 1));
      last *= most;
    } else if (piece.startsWith('(')) open.push(1);
    else if (piece !== '*' && piece !== '+' && piece !== '?') {
      last = piece === ')' ? (open.pop() ?? Number.NaN) : 1;
      add(last);
    }
  }
  return open.length === 1 ? (open[0] ?? Number.NaN) : Number.NaN;
}

/** The numbers in `{n}`, `{n,}` or `{n,m}`. */
export function boundsOf(piece: string): number[] {
  return [...piece.matchAll(/\d+/g)].map(([times]) => Number(times));
}

const MOST_KEPT = 1000;
const compiled = new LRUCache<string, RE2JS>({ max: MOST_KEPT });

/** The pattern, ready to be asked; kept, as it is needed when the rule is checked and in each ability. Throws for what RE2 does not know. */
export function compilePattern(source: string): RE2JS {
  const known = compiled.get(source);
  if (known) return known;
  const pattern = RE2JS.compile(source);
  compiled.set(source, pattern);
  return pattern;
}
