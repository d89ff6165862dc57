/** The list of migrations: named without an extension, so that sources and build keep one history. */
import type { Knex } from 'knex';
import { down as dropFoundation, up as makeFoundation } from './0001-foundation.ts';
import { down as dropDemo, up as makeDemo } from './0002-demo.ts';
import { down as dropAuditChain, up as makeAuditChain } from './0003-audit-chain.ts';
import { down as dropLife, up as makeLife } from './0004-policy-life.ts';
import { down as dropDecisionLog, up as makeDecisionLog } from './0005-decision-log.ts';
import { down as dropDecisionDays, up as makeDecisionDays } from './0006-decision-days.ts';
import { down as dropDeleted, up as makeDeleted } from './0007-deleted-accounts.ts';
import { up as closeFunctions, down as openFunctions } from './0008-closed-functions.ts';
import { down as dropListIndexes, up as makeListIndexes } from './0009-list-indexes.ts';
import { down as dropOrder, up as makeOrder } from './0010-order-of-parents.ts';
import { down as dropApiKeys, up as makeApiKeys } from './0011-api-keys.ts';
import { down as dropEntities, up as makeEntities } from './0012-entities.ts';
import { down as dropCedar, up as makeCedar } from './0013-cedar.ts';
import { down as dropShadow, up as makeShadow } from './0014-shadow.ts';
import { down as dropSigningKeys, up as makeSigningKeys } from './0015-signing-keys.ts';
import { down as dropRoutes, up as makeRoutes } from './0016-routes.ts';
import { down as dropEntityChanges, up as makeEntityChanges } from './0017-entity-changes.ts';
import { down as dropIdentities, up as makeIdentities } from './0018-identities.ts';

const migrations: Record<string, Knex.Migration> = {
  '0001-foundation': { up: makeFoundation, down: dropFoundation },
  '0002-demo': { up: makeDemo, down: dropDemo },
  '0003-audit-chain': { up: makeAuditChain, down: dropAuditChain },
  '0004-policy-life': { up: makeLife, down: dropLife },
  '0005-decision-log': { up: makeDecisionLog, down: dropDecisionLog },
  '0006-decision-days': { up: makeDecisionDays, down: dropDecisionDays },
  '0007-deleted-accounts': { up: makeDeleted, down: dropDeleted },
  '0008-closed-functions': { up: closeFunctions, down: openFunctions },
  '0009-list-indexes': { up: makeListIndexes, down: dropListIndexes },
  '0010-order-of-parents': { up: makeOrder, down: dropOrder },
  '0011-api-keys': { up: makeApiKeys, down: dropApiKeys },
  '0012-entities': { up: makeEntities, down: dropEntities },
  '0013-cedar': { up: makeCedar, down: dropCedar },
  '0014-shadow': { up: makeShadow, down: dropShadow },
  '0015-signing-keys': { up: makeSigningKeys, down: dropSigningKeys },
  '0016-routes': { up: makeRoutes, down: dropRoutes },
  '0017-entity-changes': { up: makeEntityChanges, down: dropEntityChanges },
  '0018-identities': { up: makeIdentities, down: dropIdentities },
};

/** What knex asks for migrations, in the app and on its command line. */
export const migrationSource: Knex.MigrationSource<string> = {
  getMigrations: async () => Object.keys(migrations),
  getMigrationName: (name) => name,
  getMigration: async (name) => {
    const migration = migrations[name];
    if (!migration) throw new Error(`no migration named ${name}`);
    return migration;
  },
};
