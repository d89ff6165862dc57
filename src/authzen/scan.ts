/** Candidates of a search in the order of their ids, decided batch by batch until the page is full or the work of one request is done. */
import { invalidField } from '../errors.ts';
import type { AskedPage } from './page.ts';

/** Some of those who, or which, are searched: a search goes through one source after the other. */
export interface CandidateSource {
  /** In tokens: of one type of candidates the same, whatever the policy says, so that a token outlives a change of it. */
  name: string;
  /** Whether all that is known of them is stored: properties of the search then narrow it, and say nothing of them. */
  isStored: boolean;
  /** The first ids after one, ascending, `limit` at most; fewer: there are no more. Each at most once over all sources. */
  next(afterId: string | undefined, limit: number): Promise<string[]> | string[];
}

/** What one request may decide. Beyond that its page ends early, and says that more follows. */
export interface Work {
  candidates: number;
  batch: number;
}

export interface Found {
  ids: string[];
  /** As `AskedPage.describe` takes it. */
  next: { after: string | undefined } | undefined;
}

/** Beyond what the page needs: not every candidate is found. */
const SMALLEST_BATCH = 50;

/**
 * The page of candidates that `allowed` answers true for, in the order of the sources. Whether more follows is looked for
 * until another one is found; where the work is done before that, the next page begins after the last that was decided.
 * Throws `invalid_request` for a token whose place is in no source.
 */
export async function scan(
  sources: readonly CandidateSource[],
  page: AskedPage,
  { candidates, batch }: Work,
  allowed: (source: CandidateSource, ids: readonly string[]) => Promise<readonly boolean[]>,
): Promise<Found> {
  const ids: string[] = [];
  let after = page.after;
  let left = candidates;
  // Of those decided so far few were found, or the page would be full: twice as many are asked for then.
  let size = Math.max(page.limit + 1, SMALLEST_BATCH);
  const begin = placeIn(sources, page.after);
  for (const [at, source] of sources.slice(begin.at).entries()) {
    let last = at === 0 ? begin.id : undefined;
    for (;;) {
      const asked = Math.min(batch, left, size);
      const some = await source.next(last, asked);
      const answers = await allowed(source, some);
      for (const [index, id] of some.entries()) {
        if (answers[index] !== true) continue;
        if (ids.length === page.limit) return { ids, next: { after } };
        ids.push(id);
        after = placeOf(source, id);
      }
      if (some.length < asked) break;
      size *= 2;
      last = some.at(-1);
      left -= some.length;
      if (left <= 0 && last !== undefined) return { ids, next: { after: placeOf(source, last) } };
    }
  }
  return { ids, next: undefined };
}

/** What is kept here, in tokens: in a table or in memory, in one order. */
export const STORED = 'stored';

/** Of what is kept here, these. */
export function listed(ids: Iterable<string>): CandidateSource {
  return { name: STORED, isStored: true, next: pagesOf(ids) };
}

/** Kept elsewhere, and known only because a rule names them. */
export function namedOnly(ids: Iterable<string>): CandidateSource {
  return { name: 'named', isStored: false, next: pagesOf(ids) };
}

/** Those of both, which may be in both and are of one order. */
export function merged(one: CandidateSource, other: CandidateSource): CandidateSource {
  return {
    ...one,
    next: async (afterId, limit) => {
      const [some, others] = [await one.next(afterId, limit), await other.next(afterId, limit)];
      return others.length === 0 ? some : [...new Set([...some, ...others])].sort().slice(0, limit);
    },
  };
}

function pagesOf(ids: Iterable<string>): CandidateSource['next'] {
  const all = [...new Set(ids)].sort();
  return (afterId, limit) => all.filter((id) => afterId === undefined || id > afterId).slice(0, limit);
}

function placeOf({ name }: CandidateSource, id: string): string {
  return `${name}:${id}`;
}

function placeIn(
  sources: readonly CandidateSource[],
  after: string | undefined,
): { at: number; id: string | undefined } {
  if (after === undefined) return { at: 0, id: undefined };
  const colon = after.indexOf(':');
  const at = sources.findIndex(({ name }) => name === after.slice(0, colon));
  if (at < 0) throw invalidField('/page/token', 'is not a next_token of this search');
  return { at, id: after.slice(colon + 1) };
}
