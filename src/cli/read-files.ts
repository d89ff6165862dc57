/** Policy files as commands are given them. */
import { statSync } from 'node:fs';
import { policyInvalid } from '../errors.ts';
import { openPolicyFiles } from '../policy/files.ts';
import { NoPolicyFilesError } from '../policy/list-files.ts';
import { mergeFiles, type PolicyFiles } from '../policy/merge-files.ts';
import type { PolicyFile } from '../policy/policy-file.ts';
import { UsageError } from './command.ts';
import type { Progress } from './progress.ts';

/** The argument of every command that reads policy files. */
export const filesArgument = { name: '<dir|file>', missing: 'name a file or folder', many: true } as const;

const LONG_BYTES = 4 * 1024 * 1024;

/** The files at these paths, not merged yet. Throws UsageError where there are none, or one cannot be read. */
export async function readFiles(paths: readonly string[], progress: Progress): Promise<PolicyFile[]> {
  const tell = (name: string) => {
    const bytes = statSync(name, { throwIfNoEntry: false })?.size ?? 0;
    progress.begin(`reading ${name} (${Math.ceil(bytes / 1024)} KiB)`, bytes > LONG_BYTES);
  };
  try {
    return await openPolicyFiles(paths, tell);
  } catch (cause) {
    if (cause instanceof NoPolicyFilesError) throw new UsageError(cause.message, { code: 'unreadable' });
    throw cause;
  }
}

/** The same as one policy, for what is put in force or compared. Throws `policy_invalid` with places. */
export async function readDraftFiles(paths: readonly string[], progress: Progress): Promise<PolicyFiles> {
  const merged = mergeFiles([await readFiles(paths, progress)]);
  if (merged.problems.length > 0) throw policyInvalid(merged.problems);
  return merged;
}
