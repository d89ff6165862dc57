/** What a chain of entries must be like, and what it tells of those who touched it. */

/** The last entry of a chain; the hash in hex, null where there is none yet. */
export interface Head {
  entry: number;
  hash: string | null;
}

/** One entry as it is found. */
export interface ChainRow {
  entry: number;
  previousHash: string | null;
  hash: string;
  /** Whether its content has its hash. */
  isWhole: boolean;
}

export interface AuditProblem {
  /** The number of the entry that it is about. */
  entry: number;
  code: 'changed' | 'removed' | 'inserted' | 'replaced' | 'cut_off' | 'head_changed' | 'rewritten';
  message: string;
}

export interface Chain {
  /** The next entry, in the order of their numbers. */
  follow(row: ChainRow): void;
  /** There are no more, and this is what the database says is the last one. The last one found. */
  end(head: Head | undefined): Head | null;
}

/** Follows a chain from its first entry; `noted` is a head that was noted earlier. */
export function followChain(noted: Head | undefined, tell: (problem: AuditProblem) => void): Chain {
  let last: Head = { entry: 0, hash: null };
  let lastIsWhole = true;
  return {
    follow: (row) => {
      const { entry, hash, previousHash, isWhole } = row;
      const next = last.entry + 1;
      if (entry < next) {
        tell({ entry, code: 'inserted', message: `entry ${entry} is one too many: it was inserted` });
        return;
      }
      if (entry > next)
        tell({ entry: next, code: 'removed', message: `${between(next, entry - 1)} removed` });
      else if (isWhole && lastIsWhole && previousHash !== last.hash) tell(notChained(last.entry, entry));
      if (!isWhole)
        tell({
          entry,
          code: 'changed',
          message: `entry ${entry} was changed: its content does not have its hash`,
        });
      if (noted?.entry === entry && noted.hash !== hash)
        tell({
          entry,
          code: 'rewritten',
          message: `entry ${entry} had another hash when it was noted: the trail was written anew`,
        });
      last = { entry, hash };
      lastIsWhole = isWhole;
    },
    end: (head) => {
      const problem = judgeEnd(last, lastIsWhole, head, noted);
      if (problem) tell(problem);
      return last.entry === 0 ? null : last;
    },
  };
}

/** The entry before has another hash than the one that this entry was chained to. */
function notChained(before: number, entry: number): AuditProblem {
  return before === 0
    ? { entry, code: 'removed', message: `entry ${entry} is not the first: those before it were removed` }
    : {
        entry: before,
        code: 'replaced',
        message: `entry ${before} was replaced: entry ${entry} is chained to another`,
      };
}

function judgeEnd(
  last: Head,
  lastIsWhole: boolean,
  head: Head | undefined,
  noted: Head | undefined,
): AuditProblem | undefined {
  const known = Math.max(head?.entry ?? 0, noted?.entry ?? 0);
  if (last.entry < known)
    return {
      entry: last.entry + 1,
      code: 'cut_off',
      message: `${between(last.entry + 1, known)} removed from the end`,
    };
  if (!head) return { entry: last.entry, code: 'head_changed', message: 'the head of the chain was removed' };
  if (last.entry > head.entry)
    return {
      entry: head.entry + 1,
      code: 'inserted',
      message: `${between(head.entry + 1, last.entry)} inserted after the last one that was chained`,
    };
  if (lastIsWhole && last.hash !== head.hash)
    return {
      entry: last.entry,
      code: 'head_changed',
      message: `entry ${last.entry} does not have the hash of the head: it was replaced, or the head was changed`,
    };
  return undefined;
}

function between(first: number, last: number): string {
  return first === last ? `entry ${first} was` : `entries ${first} to ${last} were`;
}
