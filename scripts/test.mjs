/**
 * Runs the tests with mocha as `.mocharc.json` says, hands its own arguments on, and ends with one line,
 * `N passed, N failed`. A run that breaks off before its end counts as a failure more.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const scratch = mkdtempSync(join(tmpdir(), 'castellan-counts-'));
const reporter = fileURLToPath(import.meta.resolve('./test-reporter.mjs'));
const countsFile = join(scratch, 'counts.json');

process.on('SIGINT', () => {}); // Ctrl-C reaches mocha as well; its counts are still to be told
const code = await runMocha();
const { passes, failures, pending, ended } = readCounts();
rmSync(scratch, { recursive: true });

const brokeOff = !ended || (code !== 0 && failures === 0);
if (brokeOff)
  console.error(`The test run broke off before its end (${describe(code)}); that counts as a failure`);
const failed = failures + (brokeOff ? 1 : 0);
console.log(`${passes} passed, ${failed} failed${pending > 0 ? `, ${pending} skipped` : ''}`);
process.exitCode = Math.min(failed, 255);

/** Answers the exit code, or the name of the signal that ended it. */
async function runMocha() {
  const asked = process.argv.slice(2);
  const options = ['--reporter', reporter, '--reporter-option', `counts=${countsFile}`];
  options.push('--config', configFor(asked), '--fail-zero');
  // A forgotten `.only` would let every other test pass by not running.
  if (process.env.CI) options.push('--forbid-only');
  const args = ['node_modules/mocha/bin/mocha.js', ...options, ...asked];
  const mocha = spawn(process.execPath, args, { cwd: root, stdio: 'inherit' });
  const [exitCode, signal] = await once(mocha, 'exit');
  return exitCode ?? signal;
}

/** Mocha adds the files it is given to those of its configuration; whoever names one wants that one alone. */
function configFor(asked) {
  const config = JSON.parse(readFileSync(join(root, '.mocharc.json'), 'utf8'));
  if (asked.some((arg) => arg.endsWith('.ts'))) delete config.spec;
  const path = join(scratch, 'mocharc.json');
  writeFileSync(path, JSON.stringify(config));
  return path;
}

function readCounts() {
  try {
    return JSON.parse(readFileSync(countsFile, 'utf8'));
  } catch {
    return { passes: 0, failures: 0, pending: 0, ended: false };
  }
}

function describe(code) {
  return typeof code === 'number' ? `exit code ${code}` : code;
}
