/** "Did you mean": the closest known word, where one is close. */
import type { Problem } from '../errors.ts';

/** A name that is not there, with the one that was meant, or those there are when they are few. */
export function unknownName(
  pointer: string,
  what: string,
  name: string,
  names: Iterable<string>,
  of = '',
): Problem {
  const known = [...new Set(names)];
  const suggestion = closest(name, known);
  const hint = suggestion
    ? `; did you mean ${suggestion}?`
    : known.length <= 20
      ? `; there ${known.length > 0 ? `are ${known.join(', ')}` : 'is none yet'}`
      : '';
  return {
    pointer,
    code: `unknown_${what}`,
    message: `${name} is not a known ${what}${of}${hint}`,
    ...(suggestion && { suggestion }),
  };
}

/** The candidate within two edits (one for short words) of `word`, if any. */
export function closest(word: string, candidates: Iterable<string>): string | undefined {
  const limit = word.length <= 4 ? 1 : 2;
  let best: string | undefined;
  let bestDistance = limit + 1;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) > limit) continue;
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Damerau-Levenshtein distance, restricted: insert, delete, replace, swap two neighbours. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let cell = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cell = Math.min(cell, (beforeLast[j - 2] ?? 0) + 1);
      }
      row.push(cell);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
