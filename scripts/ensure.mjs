/**
 * Makes a checkout ready to run: installs the dependencies and builds, if and only if that is needed.
 * The npm scripts call it first, so that `npm start` and `npm test` work on a fresh clone; with the path of a built
 * program, and its arguments, it then runs that.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { builtFrom, hashSources, STAMP } from './sources.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const MIN_NODE = [20, 19];

checkNode();
// A production install has no compiler and came with its `dist`.
if (exists('node_modules/typescript') || !exists('dist/src/main.js')) {
  if (!isInstalled()) install();
  build();
}
// The program runs in this process, and npm's shell becomes it (`exec` in package.json), so that a signal to npm reaches it.
const [, , entry, ...args] = process.argv;
if (entry) {
  process.argv = [process.execPath, join(root, entry), ...args];
  await import(pathToFileURL(join(root, entry)).href);
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > MIN_NODE[0] || (major === MIN_NODE[0] && minor >= MIN_NODE[1])) return;
  fail(
    `Castellan needs Node.js ${MIN_NODE.join('.')} or newer; this is ${process.version} (${process.execPath})`,
  );
}

/** Compares what npm installed, by its own record, with what the lock file asks for; times of files say too little. */
function isInstalled() {
  const installed = readJson('node_modules/.package-lock.json')?.packages;
  const wanted = readJson('package-lock.json')?.packages;
  if (!installed || !wanted) return installed !== undefined;
  return Object.entries(wanted).every(([path, { version, optional, peer, devOptional }]) => {
    if (path === '') return true;
    const found = installed[path];
    return found ? found.version === version : optional || peer || devOptional;
  });
}

function install() {
  const command = exists('package-lock.json') ? 'ci' : 'install';
  say(`Installing the dependencies (npm ${command})`);
  // The compiler is a development dependency, and NODE_ENV=production would leave it out.
  run(`npm ${command} --include=dev`, 'The dependencies could not be installed');
}

function build() {
  const hash = hashSources();
  if (builtFrom() === hash) return;
  say('Building');
  // Emptied first: a migration that was renamed must not be there twice.
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  run('npm run --silent build', 'The build failed');
  writeFileSync(STAMP, hash);
}

/** Runs a command in the project; its output goes to stderr, because stdout belongs to the program that starts next. */
function run(command, complaint) {
  const { status, error } = spawnSync(command, { cwd: root, shell: true, stdio: ['ignore', 2, 2] });
  if (status !== 0) fail(error ? `${complaint}: ${error.message}` : complaint);
}

function readJson(path) {
  return exists(path) ? JSON.parse(readFileSync(join(root, path), 'utf8')) : undefined;
}

function exists(path) {
  return existsSync(join(root, path));
}

function say(line) {
  process.stderr.write(`${line}\n`);
}

function fail(line) {
  say(line);
  process.exit(1);
}
