/** A pattern in RE2 syntax as one of PostgreSQL that matches the same texts, where both read it alike. */
import { boundsOf, countPieces, MOST_PIECES } from '../../policy/rule-pattern.ts';

/** An escape, the beginning or end of a class, a group without capture, a bound, any other character. */
const pieces = /\\[\s\S]|\[\^?|\(\?:|\{\d+(?:,\d*)?\}|[\s\S]/gu;
const classes: Record<string, string> = { d: '0-9', w: 'A-Za-z0-9_', s: '\\t\\n\\f\\r ' };
const controls = new Set(['t', 'n', 'r', 'f', 'v']);
/** ASCII punctuation, without the underscore, which counts as a letter in some places. */
const literalEscape = /^[!-/:-@[-^`{-~]$/;
const MOST_REPEATS = 255;

/** What stood before: it says whether a repetition may follow. */
type Before = 'nothing' | 'atom' | 'repetition' | 'lazy';

/**
 * The pattern for `~`; undefined where PostgreSQL has no such thing, or where it might read it otherwise: flags, word
 * boundaries, classes of Unicode or POSIX, bounds above 255, braces that stand for themselves; and where it would be long
 * in reading it, or refuse to when the list is asked for. Whether a text matches does not depend on captures, nor on
 * what is tried first, but PostgreSQL repeats groups that capture or are lazy at each level: they become plain ones.
 * PostgreSQL: section 9.7.3, "POSIX Regular Expressions"; RE2: its wiki page "Syntax".
 */
export function postgresPattern(pattern: string): string | undefined {
  const translated: string[] = [];
  let before: Before = 'nothing';
  const matches = [...pattern.matchAll(pieces)].map(([piece]) => piece);
  for (let index = 0; index < matches.length; index++) {
    const piece = matches[index] ?? '';
    if (piece.startsWith('[')) {
      const end = readClass(matches, index);
      if (!end) return undefined;
      translated.push(end.translated);
      index = end.last;
      before = 'atom';
      continue;
    }
    const next = readPiece(piece, before);
    if (!next) return undefined;
    translated.push(next.translated);
    before = next.before;
  }
  return countPieces(translated) <= MOST_PIECES ? translated.join('') : undefined;
}

function readPiece(piece: string, before: Before): { translated: string; before: Before } | undefined {
  if (piece.startsWith('\\') && piece.length > 1) {
    const translated = readEscape(piece.slice(1));
    return translated === undefined ? undefined : { translated, before: 'atom' };
  }
  if (piece === '.') return { translated: '[^\\n]', before: 'atom' };
  if (piece === '*' || piece === '+' || /^\{\d/.test(piece))
    return before === 'atom' && isSmallBound(piece) ? { translated: piece, before: 'repetition' } : undefined;
  if (piece === '?') {
    if (before === 'atom') return { translated: piece, before: 'repetition' };
    return before === 'repetition' ? { translated: '', before: 'lazy' } : undefined;
  }
  if (piece === '(' || piece === '(?:') return { translated: '(?:', before: 'nothing' };
  if (piece === '|' || piece === '^' || piece === '$') return { translated: piece, before: 'nothing' };
  if (piece === ')') return { translated: piece, before: 'atom' };
  // A closing bracket or a brace alone stands for itself in one of the two, or in both; written with \ it does in both.
  return ['\\', ']', '{', '}', '\0'].includes(piece) ? undefined : { translated: piece, before: 'atom' };
}

function readEscape(letter: string): string | undefined {
  if (literalEscape.test(letter)) return `\\${letter}`;
  if (controls.has(letter)) return `\\${letter}`;
  const of = classes[letter.toLowerCase()];
  if (of === undefined) return undefined;
  return letter === letter.toLowerCase() ? `[${of}]` : `[^${of}]`;
}

function isSmallBound(piece: string): boolean {
  return boundsOf(piece).every((times) => times <= MOST_REPEATS);
}

/** A bracket expression from `first` on; undefined where the two engines may differ. */
function readClass(matches: string[], first: number): { translated: string; last: number } | undefined {
  let translated = matches[first] ?? '';
  let index = first + 1;
  for (; index < matches.length && matches[index] !== ']'; index++) {
    const piece = matches[index] ?? '';
    const part = readMember(piece, index - first === 1 ? undefined : matches[index - 1], matches[index + 1]);
    if (part === undefined) return undefined;
    translated += part;
  }
  const isEmpty = index === first + 1;
  return index < matches.length && !isEmpty ? { translated: `${translated}]`, last: index } : undefined;
}

function readMember(
  piece: string,
  before: string | undefined,
  after: string | undefined,
): string | undefined {
  if (piece.startsWith('\\') && piece.length > 1) {
    const letter = piece.slice(1);
    const of = classes[letter];
    // A class within a class is no end of a range.
    if (of !== undefined) return before === '-' || after === '-' ? undefined : of;
    return literalEscape.test(letter) || controls.has(letter) ? `\\${letter}` : undefined;
  }
  // A dash is the middle of a range of two plain characters, or it is written with \.
  if (piece === '-') return isRangeEnd(before) && isRangeEnd(after) ? '-' : undefined;
  return ['\\', '[', '[^', '(?:', '\0'].includes(piece) || piece.length > 2 ? undefined : piece;
}

function isRangeEnd(piece: string | undefined): boolean {
  return piece !== undefined && /^[A-Za-z0-9]$|^[^\0-\x7f]$/u.test(piece);
}
