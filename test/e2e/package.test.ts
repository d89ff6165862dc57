/** The package as it would be published: from an empty project, without anything that the server needs. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');

describe('the package', function () {
  this.timeout(60_000);
  const project = mkdtempSync(join(tmpdir(), 'castellan-package-'));
  const installed = join(project, 'node_modules/castellan');
  let files: string[];
  const run = (command: string, args: string[], cwd = project) =>
    execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

  const checkTypes = (...names: string[]) => {
    const options = [
      '--noEmit',
      '--strict',
      '--module',
      'nodenext',
      '--target',
      'es2022',
      '--lib',
      'es2022,dom',
    ];
    run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), ...options, ...names]);
  };

  /** A checkout that nothing was built in. */
  const checkOut = () => {
    const folder = join(project, 'checkout');
    const left = ['node_modules', 'dist', '.git', '.castellan'].map((name) => join(root, name));
    cpSync(root, folder, { recursive: true, filter: (path) => !left.includes(path) });
    // Link by link: an installation in the checkout must not reach into this one.
    mkdirSync(join(folder, 'node_modules'));
    for (const name of readdirSync(join(root, 'node_modules')))
      symlinkSync(realpathSync(join(root, 'node_modules', name)), join(folder, 'node_modules', name));
    return folder;
  };

  before(() => {
    const args = ['pack', '--json', '--pack-destination', project];
    const [packed] = JSON.parse(run('npm', args, checkOut()));
    files = packed.files.map(({ path }: { path: string }) => path);
    mkdirSync(installed, { recursive: true });
    run('tar', ['-xzf', packed.filename, '-C', installed, '--strip-components=1']);
    writeFileSync(join(project, 'package.json'), '{"name":"empty","type":"module"}');
  });
  after(() => rmSync(project, { recursive: true, force: true }));

  it('packed from a fresh checkout, has what the server, its command line and its clients need, and no tests or secrets', () => {
    for (const needed of [
      'dist/src/main.js',
      'dist/src/cli/main.js',
      'dist/client/index.js',
      'dist/client/index.d.ts',
      'dist/client/express.js',
      'dist/client/express.d.ts',
      'dist/migrations/index.js',
      'policies/base.yaml',
    ])
      assert.ok(files.includes(needed), needed);
    assert.deepEqual(
      files.filter((path) => /^(test|bench|node_modules|\.castellan)|\.(key|pem|env)$/.test(path)),
      [],
    );
  });

  it('gives castellan/client and castellan/express to a project that has nothing else', () => {
    const script = `
      import { castellan } from 'castellan/client';
      import { requireAccess } from 'castellan/express';
      const client = castellan({ url: 'http://127.0.0.1:1' });
      const subject = { type: 'user', id: '1' };
      const decision = await client.decide({ subject, action: 'read', resource: { type: 'x', id: '1' } });
      console.log(decision.allow, decision.failure.code, typeof requireAccess({}));`;
    writeFileSync(join(project, 'use.js'), script);
    assert.equal(run(process.execPath, ['use.js']), 'false unreachable function\n');
  });

  it('gives them with their types', () => {
    const script = `
      import { castellan, type Decision } from 'castellan/client';
      import { requireAccess } from 'castellan/express';
      const client = castellan({ url: 'https://castellan.example' });
      const resource = { type: 'x', id: '1' };
      export const decision: Promise<Decision> = client.decide({ subject: resource, action: 'read', resource });
      export const guard = requireAccess<{ user: string }>({
        client,
        subject: (req) => ({ type: 'user', id: req.user }),
        action: 'read',
        resource: () => resource,
      });
      // @ts-expect-error an id is a text
      void client.decide({ subject: { type: 'user', id: 1 }, action: 'read', resource });`;
    writeFileSync(join(project, 'use.ts'), script);
    checkTypes('use.ts');
  });

  it('is used as the docs show', () => {
    const page = readFileSync(join(root, 'docs/client.md'), 'utf8');
    const shown = [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, text = '']) => text);
    assert.equal(shown.length, 2);
    // The types of Express, which such an app has.
    for (const name of ['express', '@types'])
      symlinkSync(realpathSync(join(root, 'node_modules', name)), join(project, 'node_modules', name));
    for (const [at, text] of shown.entries()) writeFileSync(join(project, `shown-${at}.ts`), text);
    checkTypes('shown-0.ts', 'shown-1.ts');
  });

  it('opens nothing else of it: the rest is no interface', () => {
    writeFileSync(join(project, 'deep.js'), `import 'castellan/dist/src/services.js';`);
    assert.throws(() => run(process.execPath, ['deep.js']), /ERR_PACKAGE_PATH_NOT_EXPORTED/);
  });
});
