/** Mocha's root hook: after the last test, what the run made is gone. */
import { dropDatabases } from './harness.ts';

export const mochaHooks = {
  async afterAll(this: Mocha.Context): Promise<void> {
    this.timeout(60_000);
    await dropDatabases();
  },
};
