/** /schemas/policy.json: what editors complete and check policy files with. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { shippedPolicies } from '../../../src/policy/files.ts';
import { policyJsonSchema } from '../../../src/policy/policy-json-schema.ts';
import { anonymousClient, logIn, startGateway, type TestGateway } from '../../harness.ts';

const folder = shippedPolicies();
const shipped = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.yaml'),
);
const path = '/schemas/policy.json';

describe(path, () => {
  let gateway: TestGateway;
  let accepts: ValidateFunction;
  before(async () => {
    gateway = await startGateway();
    const { body } = await anonymousClient(gateway).get(path);
    accepts = new Ajv2020({ strict: false }).compile(body);
  });
  after(() => gateway.close());

  it('is served to everybody, may be kept for a while, and is JSON Schema 2020-12', async () => {
    const { status, headers, body } = await anonymousClient(gateway).get(path);
    assert.deepEqual([status, headers.get('content-type')], [200, 'application/schema+json; charset=utf-8']);
    assert.match(headers.get('cache-control') ?? '', /^public, max-age=\d+$/);
    assert.ok(headers.get('etag'));
    assert.equal(body.$schema, 'https://json-schema.org/draft/2020-12/schema');
    assert.deepEqual([body.$id, body.title], [path, 'Castellan policy']);
    const missing = await anonymousClient(gateway).post(path, {});
    assert.deepEqual([missing.status, missing.headers.get('allow')], [405, 'GET, HEAD, OPTIONS']);
  });

  it('is what lies beside the shipped policies (npm run schema writes it)', () => {
    const committed: unknown = JSON.parse(readFileSync(join(folder, 'policy.schema.json'), 'utf8'));
    assert.deepEqual(committed, policyJsonSchema());
  });

  it('is named by every shipped file, by a path that leads to it', () => {
    assert.ok(shipped.length >= 4);
    for (const name of shipped) {
      const file = join(folder, name);
      const [, named = ''] =
        /^# yaml-language-server: \$schema=(\S+)\n/.exec(readFileSync(file, 'utf8')) ?? [];
      assert.equal(resolve(dirname(file), named), join(folder, 'policy.schema.json'), name);
    }
  });

  it('accepts every shipped file, and what the gateway exports', async () => {
    for (const name of shipped) {
      const document: unknown = parse(readFileSync(join(folder, name), 'utf8'));
      assert.ok(accepts(document), `${name}: ${JSON.stringify(accepts.errors)}`);
    }
    const admin = await logIn(gateway, 'admin');
    const { body } = await admin.get('/api/v1/admin/policy/export?format=json');
    assert.ok(body.rules.length > 20 && accepts(body), JSON.stringify(accepts.errors));
  });

  it('describes every key of a rule, and says where there can be no other', () => {
    const { properties = {}, additionalProperties } = policyJsonSchema();
    assert.equal(additionalProperties, false);
    for (const [collection, part] of Object.entries(properties)) {
      if (!part.items?.properties) continue;
      assert.equal(part.items.additionalProperties, false, collection);
      for (const [key, { description }] of Object.entries(part.items.properties))
        assert.ok(description || ['name', 'description'].includes(key), `${collection}: ${key}`);
    }
  });

  const rule = { role: 'user', action: 'read', subject: 'document' };
  const single = { principal: 'anonymous', action: 'read', resource: { type: 'a' }, expect: 'deny' };
  const matrix = {
    principals: { nobody: 'anonymous' },
    resources: { one: { type: 'a' } },
    actions: ['read'],
    allow: {},
  };
  const table: [string, object, boolean][] = [
    ['a rule', { rules: [rule] }, true],
    ['a misspelt key of a rule', { rules: [{ ...rule, condition: {} }] }, false],
    ['a misspelt collection', { rule: [rule] }, false],
    ['a single case', { cases: [single] }, true],
    ['a case that expects neither allow nor deny', { cases: [{ ...single, expect: 'yes' }] }, false],
    ['a matrix', { cases: [matrix] }, true],
    ['a matrix without its table', { cases: [{ ...matrix, allow: undefined }] }, false],
  ];
  for (const [what, parts, expected] of table)
    it(`${expected ? 'accepts' : 'marks'} ${what}`, () => {
      assert.equal(accepts(JSON.parse(JSON.stringify({ version: 1, ...parts }))), expected);
    });
});
