/** `castellan seed` */
import { demoAccounts, seed } from '../../seeds/demo.ts';
import { loadConfig } from '../config.ts';
import { openStorage } from '../storage/open-storage.ts';
import { type Command, jsonOption, printResult } from './command.ts';

export const seedCommand: Command = {
  name: 'seed',
  summary:
    'Add the demo accounts, documents and orders (and the demo policy, when there is none); not in production',
  options: [jsonOption],
  run: async ({ json }) => {
    const storage = await openStorage(loadConfig());
    try {
      await seed(storage.db);
      const accounts = demoAccounts.map(({ email }) => email);
      printResult(json, { accounts }, accounts);
    } finally {
      await storage.close();
    }
  },
};
