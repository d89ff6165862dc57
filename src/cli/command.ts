/** What a command is. */

export interface Command {
  /** As typed: one word or two. */
  name: string;
  summary: string;
  options: readonly { name: string; type: 'string' | 'boolean'; meaning: string }[];
  /** Throws to fail: UsageError for what was typed, anything else for what went wrong. */
  run(options: Record<string, string | boolean | undefined>): Promise<void>;
}

/** What was typed is not right; the message says what would be. */
export class UsageError extends Error {
  override name = 'UsageError';
}

export const jsonOption = { name: 'json', type: 'boolean', meaning: 'print JSON, for machines' } as const;

/** Prints the value as JSON, or the lines for people. */
export function printResult(json: unknown, value: object, lines: readonly string[]): void {
  process.stdout.write(
    json === true ? `${JSON.stringify(value)}\n` : lines.map((line) => `${line}\n`).join(''),
  );
}
