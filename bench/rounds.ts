/** Contestants taking turns, so that whatever else the machine does meets all of them alike. */

/** Does its work for about `ms`; what one piece of it took, in whatever unit, or how much of it was done per second. */
export type Run = (ms: number) => Promise<number> | number;

/** Round after round each runs once, the first one uncounted; the results of each by name, in the order of the rounds. */
export async function takeTurns<Name extends string>(
  runs: Record<Name, Run>,
  { rounds, roundMs }: { rounds: number; roundMs: number },
): Promise<Record<Name, number[]>> {
  const names = Object.keys(runs) as Name[];
  const results = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = 0; round <= rounds; round++) {
    for (const name of names) {
      const result = await runs[name](roundMs);
      if (round > 0) results[name].push(result);
    }
  }
  return results;
}
