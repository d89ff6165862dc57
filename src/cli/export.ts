/** `castellan export` */
import { exportRules } from '../policy/cedar/export-rules.ts';
import type { Policy } from '../policy/policy.ts';
import { readRevision } from '../policy/revisions.ts';
import { splitPolicy } from '../policy/split-files.ts';
import { policyText, schemaUrl } from '../policy/write-files.ts';
import { type Command, jsonOption, type Options, printResult, readNumber, UsageError } from './command.ts';
import { type LiveDatabase, withLiveDatabase } from './live-database.ts';
import { count } from './problem-lines.ts';
import { writeSplit } from './write-split.ts';

export const exportCommand: Command = {
  name: 'export',
  summary: 'Write the policy in force to standard output, or as files; imported again it changes nothing',
  options: [
    {
      name: 'format',
      type: 'string',
      meaning: 'default: yaml; cedar: the rules alone, as Cedar',
      values: ['yaml', 'json', 'cedar'],
    },
    { name: 'split', type: 'string', meaning: 'write files into this folder instead of standard output' },
    { name: 'revision', type: 'string', meaning: 'the policy as it was at this revision' },
    { name: 'force', type: 'boolean', meaning: 'write into a folder that holds other files, too' },
    {
      ...jsonOption,
      meaning: 'print JSON, for machines: with --split which files there are, else the policy',
    },
  ],
  run: async (options) => {
    const { split, json, force = false } = options;
    if (json && options['format'] === 'yaml' && split === undefined)
      throw new UsageError('--json and --format yaml are opposites');
    if (options['format'] === 'cedar') return printCedar(options);
    const isJson = options['format'] === 'json' || (json === true && split === undefined);
    const format = isJson ? 'json' : 'yaml';
    const { policy, schema } = await withLiveDatabase(async (opened) => ({
      policy: await policyAsked(opened, options),
      schema: schemaUrl(opened.config.publicUrl),
    }));
    if (typeof split !== 'string') return void process.stdout.write(policyText(policy, format, schema));
    const { written, removed } = await writeSplit(split, splitPolicy(policy, format, schema), force === true);
    printResult(json, { folder: split, written, removed }, [
      ...removed.map((name) => `removed ${name}`),
      `wrote ${count(written.length, 'file')} to ${split}`,
    ]);
  },
};

/** The rules in Cedar; what it cannot say is told in the text and on standard error. Throws UsageError. */
async function printCedar(options: Options): Promise<void> {
  if (options['split'] !== undefined || options['json'])
    throw new UsageError('--format cedar goes with neither --split nor --json');
  const { text, omitted } = await withLiveDatabase(async (opened) => {
    const policy = await policyAsked(opened, options);
    return exportRules(opened.live.compileStored(policy, opened.live.snapshot.revision));
  });
  process.stdout.write(text);
  for (const { ruleId, why } of omitted) process.stderr.write(`not said in Cedar: ${ruleId} ${why}\n`);
}

async function policyAsked({ db, live }: LiveDatabase, { revision }: Options): Promise<Policy> {
  if (revision === undefined) return live.snapshot.policy;
  const number = readNumber('--revision', revision);
  const policy = await readRevision(db, number);
  if (!policy)
    throw new UsageError(`there is no revision ${number}; the latest is ${live.snapshot.revision}`);
  return policy;
}
