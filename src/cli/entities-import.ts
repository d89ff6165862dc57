/** `castellan entities import` */
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { countEntities } from '../admin/change-entity.ts';
import { parseStrictJson } from '../http/strict-json.ts';
import { snapshotUnderLock } from '../policy/publish.ts';
import type { GivenEntity } from '../policy/put-entities.ts';
import { readEntityDocument, readEntityLines } from '../policy/read-entities.ts';
import { type Command, jsonOption, printResult, UsageError } from './command.ts';
import { modeOf } from './import.ts';
import { withLiveDatabase } from './live-database.ts';
import type { Progress } from './progress.ts';
import { auditByOperator, entityLine, putByOperator } from './put-entities.ts';
import { readDraftFiles } from './read-files.ts';
import { tellingProblems } from './telling-problems.ts';

export const entitiesImport: Command = {
  name: 'entities import',
  summary: 'Write the entities in a file: all of them or none',
  argument: { name: '<file>', missing: 'name a file: .ndjson, .jsonl, .json or .yaml; - is standard input' },
  options: [
    {
      name: 'mode',
      type: 'string',
      meaning: 'merge (the default): the others stay; replace: what is not in the file goes',
      values: ['merge', 'replace'],
    },
    jsonOption,
  ],
  notes: ['Standard input, .ndjson and .jsonl have an entity as JSON in each line.'],
  run: ({ json, ...options }, [name = '']) =>
    tellingProblems('nothing was imported', async (progress) => {
      progress.begin(`reading ${name}`);
      const given = await readEntities(name, progress);
      progress.begin('opening the database');
      const diff = await withLiveDatabase((opened) =>
        opened.db.transaction(async (trx) => {
          const snapshot = await snapshotUnderLock(trx, opened.live);
          const mode = modeOf(options);
          const written = await putByOperator(opened, { trx, snapshot, given, mode, progress });
          await auditByOperator(trx, 'castellan entities import', written, mode);
          return written;
        }),
      );
      progress.end();
      printResult(json, countEntities(diff), [entityLine(diff)]);
    }),
};

async function readEntities(name: string, progress: Progress): Promise<readonly GivenEntity[]> {
  if (name === '-') return readEntityLines(await readAll(process.stdin));
  const kind = extname(name);
  if (kind === '.yaml' || kind === '.yml') return (await readDraftFiles([name], progress)).entities;
  const text = await readFile(name, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw cause.code === 'ENOENT' ? new UsageError(`there is no file ${name}`) : cause;
  });
  return kind === '.json' ? readEntityDocument(parseStrictJson(text)) : readEntityLines(text);
}

async function readAll(stream: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('utf8');
}
