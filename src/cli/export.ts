/** `castellan export` */

import { exportRules } from '../policy/cedar/export-rules.ts';
import type { Entity } from '../policy/entity.ts';
import { allEntities } from '../policy/entity-store.ts';
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
    { name: 'entities', type: 'boolean', meaning: 'with all entities, in the one document' },
    { name: 'force', type: 'boolean', meaning: 'write into a folder that holds what no export wrote, too' },
    {
      ...jsonOption,
      meaning: 'print JSON, for machines: with --split which files there are, else the policy',
    },
  ],
  run: async (options) => {
    const { split, json, force = false } = options;
    if (options['entities'] && split !== undefined)
      throw new UsageError('--entities goes into one document; castellan entities export writes lines');
    if (json && options['format'] === 'yaml' && split === undefined)
      throw new UsageError('--json and --format yaml are opposites');
    if (options['format'] === 'cedar') return printCedar(options);
    const isJson = options['format'] === 'json' || (json === true && split === undefined);
    const format = isJson ? 'json' : 'yaml';
    const { policy, entities, schema } = await withLiveDatabase(async (opened) => ({
      policy: await policyAsked(opened, options),
      entities: options['entities'] === true ? await everyEntity(opened) : [],
      schema: schemaUrl(opened.config.publicUrl),
    }));
    if (typeof split !== 'string')
      return void process.stdout.write(policyText(policy, format, schema, { entities }));
    const { written, removed } = await writeSplit(split, splitPolicy(policy, format, schema), force === true);
    printResult(json, { folder: split, written, removed }, [
      ...removed.map((name) => `removed ${name}`),
      `wrote ${count(written.length, 'file')} to ${split}`,
    ]);
  },
};

async function everyEntity({ db }: LiveDatabase): Promise<Entity[]> {
  const all: Entity[] = [];
  for await (const batch of allEntities(db)) all.push(...batch);
  return all;
}

/** The rules in Cedar; what it cannot say is told in the text and on standard error. Throws UsageError. */
async function printCedar(options: Options): Promise<void> {
  if (options['split'] !== undefined || options['json'] || options['entities'])
    throw new UsageError('--format cedar goes with none of --split, --json and --entities');
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
