/** What `check` makes of files: which base is below them, and which of their problems are told. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { useOfBase } from '../../../src/cli/check.ts';
import { checkFiles, type UseOfBase } from '../../../src/cli/check-files.ts';
import { policyWith } from '../../../src/cli/import.ts';
import { shippedPolicies } from '../../../src/policy/files.ts';
import { emptyPolicy, type Policy } from '../../../src/policy/policy.ts';
import type { Snapshot } from '../../../src/policy/snapshot.ts';

describe('policy files that are checked', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'castellan-check-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function check(text: string, use: UseOfBase = 'auto') {
    const file = join(folder, 'a.yaml');
    await writeFile(file, `version: 1\n${text}`);
    const { base, problems } = await checkFiles([file], use);
    return { base, codes: problems.map(({ code }) => code).sort() };
  }
  const rule = 'rules:\n  - { id: a, role: user, action: read, subject: user }\n';
  const shipped = join(shippedPolicies(), 'base.yaml');

  it('have the shipped base below them where they lack the built-in types, always or never as asked', async () => {
    assert.deepEqual(await check(rule), { base: shipped, codes: [] });
    const { base, codes } = await check(rule, 'never');
    assert.equal(base, undefined);
    assert.ok(codes.length > 0, 'there is neither the type nor the role');
    const whole = (use: UseOfBase) => checkFiles([shipped], use).then((checked) => checked.base);
    assert.deepEqual(await Promise.all([whole('auto'), whole('always')]), [undefined, shipped]);
    assert.deepEqual(
      [useOfBase({}), useOfBase({ base: true }), useOfBase({ 'no-base': true })],
      ['auto', 'always', 'never'],
    );
    assert.throws(() => useOfBase({ base: true, 'no-base': true }), /--base and --no-base are opposites/);
  });

  it('tell no problem that is only one of what is hidden by another', async () => {
    const asks = 'cases:\n  - { id: c, principal: { roles: [user] }, action: read, resource: { type: user }';
    const wrongRule = 'rules:\n  - { id: a, role: user, action: read, subject: user, priorty: 1 }\n';
    const ofRule = `${asks}, expect: allow, rule: a }\n`;
    assert.deepEqual((await check(wrongRule + ofRule)).codes, ['unknown_key']);
    const wrongRole = 'roles:\n  - { key: own, nme: Own }\n';
    assert.deepEqual((await check(`${wrongRole}${rule.replace('user,', 'own,')}`)).codes, ['unknown_key']);
    const unknown = rule.replace('user,', 'nobody,');
    assert.deepEqual((await check(`${unknown}${asks}, expct: allow }\n`)).codes, [
      'shape',
      'unknown_key',
      'unknown_role',
    ]);
  });

  it('merged into an empty database have the shipped base below them, and with replace nothing', async () => {
    const files: Policy = {
      ...emptyPolicy(),
      roles: [{ key: 'own', name: 'own', description: '', inherits: [] }],
    };
    const empty: Pick<Snapshot, 'revision' | 'policy'> = { revision: 0, policy: emptyPolicy() };
    const merged = await policyWith(files, empty, 'merge');
    assert.ok(merged.rules.some(({ id }) => id === 'superadmin-everything') && merged.roles.length > 1);
    assert.deepEqual(await policyWith(files, empty, 'replace'), files);
    const later = await policyWith(files, { ...empty, revision: 1 }, 'merge');
    assert.deepEqual(later, files);
  });
});
