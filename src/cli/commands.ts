/** Every command, in the order in which help shows them. */
import { adminCreate } from './admin-create.ts';
import { apiKeyCreate } from './api-key-create.ts';
import { apiKeyList } from './api-key-list.ts';
import { apiKeyRevoke } from './api-key-revoke.ts';
import { apiKeyRotate } from './api-key-rotate.ts';
import { auditVerify } from './audit-verify.ts';
import { casesCommand } from './cases.ts';
import { checkCommand } from './check.ts';
import type { Command } from './command.ts';
import { showConfig } from './config.ts';
import { diffCommand } from './diff.ts';
import { entitiesExport } from './entities-export.ts';
import { entitiesImport } from './entities-import.ts';
import { entitiesList } from './entities-list.ts';
import { explainCommand } from './explain.ts';
import { exportCommand } from './export.ts';
import { importCommand } from './import.ts';
import { keysList } from './keys-list.ts';
import { keysRotate } from './keys-rotate.ts';
import { migrateCommand } from './migrate.ts';
import { restoreCommand } from './restore.ts';
import { revisionsCommand } from './revisions.ts';
import { seedCommand } from './seed.ts';
import { serveCommand } from './serve.ts';

export const commands: readonly Command[] = [
  serveCommand,
  migrateCommand,
  seedCommand,
  showConfig,
  adminCreate,
  apiKeyCreate,
  apiKeyList,
  apiKeyRotate,
  apiKeyRevoke,
  keysList,
  keysRotate,
  checkCommand,
  importCommand,
  exportCommand,
  diffCommand,
  revisionsCommand,
  restoreCommand,
  casesCommand,
  explainCommand,
  entitiesImport,
  entitiesExport,
  entitiesList,
  auditVerify,
];
