/** Mocha's spec reporter that also keeps its counts in a file, for `scripts/test.mjs` to read even after a crash. */
import { writeFileSync } from 'node:fs';
import Mocha from 'mocha';

const { EVENT_RUN_BEGIN, EVENT_TEST_END, EVENT_TEST_FAIL, EVENT_RUN_END } = Mocha.Runner.constants;

/** Takes `--reporter-option counts=<path>`. */
export default class TestReporter extends Mocha.reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const path = options.reporterOption.counts;
    const write = (ended) => {
      const { passes, failures, pending } = runner.stats;
      writeFileSync(path, JSON.stringify({ passes, failures, pending, ended }));
    };
    for (const event of [EVENT_RUN_BEGIN, EVENT_TEST_END, EVENT_TEST_FAIL])
      runner.on(event, () => write(false));
    runner.on(EVENT_RUN_END, () => write(true));
  }
}
