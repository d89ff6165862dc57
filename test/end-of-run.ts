/** Mocha's root hook: after the last test, what the run made is gone. */
import { dropDatabases } from './harness.ts';

export const mochaHooks = { afterAll: dropDatabases };
