/** Every command, in the order in which help shows them. */
import type { Command } from './command.ts';

/** Each is loaded when it is asked for: what the others need would take longer than most of them run. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  serve: () => import('./serve.ts').then(({ serveCommand }) => serveCommand),
  migrate: () => import('./migrate.ts').then(({ migrateCommand }) => migrateCommand),
  seed: () => import('./seed.ts').then(({ seedCommand }) => seedCommand),
  config: () => import('./config.ts').then(({ showConfig }) => showConfig),
  'admin create': () => import('./admin-create.ts').then(({ adminCreate }) => adminCreate),
  'api-key create': () => import('./api-key-create.ts').then(({ apiKeyCreate }) => apiKeyCreate),
  'api-key list': () => import('./api-key-list.ts').then(({ apiKeyList }) => apiKeyList),
  'api-key rotate': () => import('./api-key-rotate.ts').then(({ apiKeyRotate }) => apiKeyRotate),
  'api-key revoke': () => import('./api-key-revoke.ts').then(({ apiKeyRevoke }) => apiKeyRevoke),
  'keys list': () => import('./keys-list.ts').then(({ keysList }) => keysList),
  'keys rotate': () => import('./keys-rotate.ts').then(({ keysRotate }) => keysRotate),
  check: () => import('./check.ts').then(({ checkCommand }) => checkCommand),
  import: () => import('./import.ts').then(({ importCommand }) => importCommand),
  export: () => import('./export.ts').then(({ exportCommand }) => exportCommand),
  diff: () => import('./diff.ts').then(({ diffCommand }) => diffCommand),
  revisions: () => import('./revisions.ts').then(({ revisionsCommand }) => revisionsCommand),
  restore: () => import('./restore.ts').then(({ restoreCommand }) => restoreCommand),
  cases: () => import('./cases.ts').then(({ casesCommand }) => casesCommand),
  explain: () => import('./explain.ts').then(({ explainCommand }) => explainCommand),
  'entities import': () => import('./entities-import.ts').then(({ entitiesImport }) => entitiesImport),
  'entities export': () => import('./entities-export.ts').then(({ entitiesExport }) => entitiesExport),
  'entities list': () => import('./entities-list.ts').then(({ entitiesList }) => entitiesList),
  'audit verify': () => import('./audit-verify.ts').then(({ auditVerify }) => auditVerify),
};

/** The command that is typed, of one word or two; undefined where there is none. */
export async function findCommand(typed: readonly string[]): Promise<Command | undefined> {
  const isTyped = (name: string) => name.split(' ').every((word, index) => typed[index] === word);
  return Object.entries(commands).find(([name]) => isTyped(name))?.[1]();
}

/** All of them, or those whose name begins so. */
export function loadCommands(beginning = ''): Promise<Command[]> {
  const loads = Object.entries(commands).filter(([name]) => name.startsWith(beginning));
  return Promise.all(loads.map(([, load]) => load()));
}
