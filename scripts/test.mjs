/**
 * Runs the tests with mocha as `.mocharc.json` says, hands its own arguments on, and ends with one line,
 * `N passed, N failed`. A run that breaks off before its end counts as a failure more. All of them run in two lanes
 * beside each other, which take about as long; more would press on tests that hold times to what is promised.
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

process.on('SIGINT', () => {}); // Ctrl-C reaches mocha as well; its counts are still to be told
const asked = process.argv.slice(2);
const lanes = asked.some((arg) => arg.endsWith('.ts'))
  ? [{}] // whoever names a file wants that one alone; mocha would add it to those of its configuration
  : [
      { spec: ['test/{http,unit}/**/*.test.ts'] },
      { spec: ['test/**/*.test.ts'], ignore: ['test/{http,unit}/**'] },
    ];
let shown = Promise.resolve();
const runs = await Promise.all(lanes.map(runLane));
rmSync(scratch, { recursive: true });

const total = (what) => runs.reduce((sum, run) => sum + run[what], 0);
const ranNone = total('passes') + total('failures') === 0;
if (ranNone) console.error('No test ran; that counts as a failure');
const failed = total('failures') + (ranNone ? 1 : 0);
const pending = total('pending');
console.log(`${total('passes')} passed, ${failed} failed${pending > 0 ? `, ${pending} skipped` : ''}`);
process.exitCode = Math.min(failed, 255);

/** The counts of one lane, what is written by it shown when those before it are through. */
async function runLane(files, lane) {
  const countsFile = join(scratch, `counts-${lane}.json`);
  const before = shown;
  const run = runMocha(files, lane, countsFile);
  shown = run.then(async ({ written }) => {
    await before;
    process.stdout.write(written);
  });
  const { code } = await run;
  await shown;
  const counts = readCounts(countsFile);
  const brokeOff = !counts.ended || (code !== 0 && counts.failures === 0);
  if (brokeOff)
    console.error(`The test run broke off before its end (${describe(code)}); that counts as a failure`);
  return { ...counts, failures: counts.failures + (brokeOff ? 1 : 0) };
}

/** The exit code, or the name of the signal that ended it; what it wrote, where that was not shown at once. */
async function runMocha(files, lane, countsFile) {
  const options = ['--reporter', reporter, '--reporter-option', `counts=${countsFile}`];
  options.push('--config', configFor(files, lane));
  // A forgotten `.only` would let every other test pass by not running.
  if (process.env.CI) options.push('--forbid-only');
  const args = ['node_modules/mocha/bin/mocha.js', ...options, ...asked];
  const stdio = lane === 0 ? 'inherit' : ['ignore', 'pipe', 'pipe'];
  const mocha = spawn(process.execPath, args, { cwd: root, stdio });
  const written = [];
  for (const stream of [mocha.stdout, mocha.stderr]) stream?.on('data', (chunk) => written.push(chunk));
  const [exitCode, signal] = await once(mocha, 'close');
  return { code: exitCode ?? signal, written: Buffer.concat(written) };
}

function configFor(files, lane) {
  const { spec: _all, ...config } = JSON.parse(readFileSync(join(root, '.mocharc.json'), 'utf8'));
  const path = join(scratch, `mocharc-${lane}.json`);
  writeFileSync(path, JSON.stringify({ ...config, ...files }));
  return path;
}

function readCounts(countsFile) {
  try {
    return JSON.parse(readFileSync(countsFile, 'utf8'));
  } catch {
    return { passes: 0, failures: 0, pending: 0, ended: false };
  }
}

function describe(code) {
  return typeof code === 'number' ? `exit code ${code}` : code;
}
