/** `castellan import` */
import { applyDraft, presentChange } from '../admin/import-policy.ts';
import { firstPolicy } from '../policy/begin.ts';
import type { EntityDiff } from '../policy/entity-store.ts';
import type { PolicyFiles } from '../policy/merge-files.ts';
import type { Policy } from '../policy/policy.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import { type Command, jsonOption, type Options, printResult } from './command.ts';
import { withLiveDatabase } from './live-database.ts';
import { count } from './problem-lines.ts';
import type { Progress } from './progress.ts';
import { changeLines, messageOption, publishByOperator } from './publish-by-operator.ts';
import { auditByOperator, entityLine, putByOperator } from './put-entities.ts';
import { filesArgument, readDraftFiles } from './read-files.ts';
import { tellingProblems } from './telling-problems.ts';

/** How files and the policy in force make the new policy. */
export const modeOption = {
  name: 'mode',
  type: 'string',
  meaning: 'merge (the default): the files add and replace; replace: what is not in them goes',
  values: ['merge', 'replace'],
} as const;

export const importCommand: Command = {
  name: 'import',
  summary: 'Publish the policy in files: one revision, or none when nothing differs or anything is wrong',
  argument: filesArgument,
  options: [
    modeOption,
    { name: 'dry-run', type: 'boolean', meaning: 'every check, nothing written' },
    messageOption,
    { name: 'force', type: 'boolean', meaning: 'publish although cases break' },
    jsonOption,
  ],
  run: ({ 'dry-run': dryRun = false, json, ...options }, paths) =>
    tellingProblems('nothing was imported', async (progress) => {
      const files = await readDraftFiles(paths, progress);
      const { publication, entities } = await importFiles(files, { ...options, 'dry-run': dryRun }, progress);
      progress.end();
      const isDry = dryRun === true;
      const notes = files.replaced.map((note) => `note: ${note}`);
      const lines = [...changeLines(publication, isDry), ...(entities ? [entityLine(entities, isDry)] : [])];
      printResult(json, presentChange(publication, isDry, entities), [...notes, ...lines]);
      if (isDry && options['force'] !== true) failForBroken(publication.broken.length, json);
    }),
};

/** A dry run ends as the import would. */
function failForBroken(broken: number, json: unknown): void {
  if (broken === 0) return;
  process.exitCode = 1;
  if (json === true) return;
  process.stderr.write(
    `castellan: ${count(broken, 'case')} would no longer hold; --force would publish all the same\n`,
  );
}

async function importFiles(
  { policy, entities: given, locate }: PolicyFiles,
  options: Options,
  progress: Progress,
) {
  const isDry = options['dry-run'] === true;
  let entities: EntityDiff | undefined;
  progress.begin('opening the database');
  return withLiveDatabase(async (opened) => {
    const publication = await publishByOperator(opened, {
      command: 'castellan import',
      action: 'policy.import',
      target: modeOf(options),
      message: String(options['message'] ?? ''),
      force: options['force'] === true,
      dryRun: isDry,
      progress,
      locate,
      change: (_policy, _trx, before) => {
        progress.begin('checking');
        return policyWith(policy, before, modeOf(options));
      },
      alongside: async (snapshot, trx) => {
        if (given.length === 0) return;
        entities = await putByOperator(opened, { trx, snapshot, given, mode: 'merge', progress });
        if (!isDry) await auditByOperator(trx, 'castellan import', entities, 'merge');
      },
    });
    return { publication, entities };
  });
}

/** `--mode`, or what goes without saying. */
export function modeOf({ mode = 'merge' }: Options): 'merge' | 'replace' {
  return mode === 'replace' ? mode : 'merge';
}

/** What the files make of the policy in force; an empty database begins with the shipped base policy. */
export async function policyWith(
  files: Policy,
  inForce: Pick<Snapshot, 'revision' | 'policy'>,
  mode: 'merge' | 'replace',
): Promise<Policy> {
  const current =
    inForce.revision === 0 && mode === 'merge' ? await firstPolicy({ demo: false }) : inForce.policy;
  return applyDraft(current, { policy: files, remove: {} }, mode);
}
