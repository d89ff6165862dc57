import assert from 'node:assert/strict';
import { Validator } from '@seriousme/openapi-schema-validator';
import { makeApp } from '../../../src/app.ts';
import { errorTable } from '../../../src/errors.ts';
import type { OpenApiDocument } from '../../../src/http/openapi.ts';
import { anonymousClient, startGateway, type TestGateway } from '../../harness.ts';

const someId = '7b0e3c5a-5f0f-4d0e-9f6b-0d6a1d2f3c4b';
const filled = (path: string) => path.replace(/\{\w+\}/g, someId);

describe('/openapi.json', () => {
  let gateway: TestGateway;
  let document: OpenApiDocument;
  let operations: { method: string; path: string; operation: OpenApiDocument['paths'][string][string] }[];

  before(async () => {
    gateway = await startGateway();
    document = (await anonymousClient(gateway).get('/openapi.json')).body;
    operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ method, path, operation })),
    );
  });
  after(() => gateway.close());

  it('is valid OpenAPI 3.1', async () => {
    const { valid, errors } = await new Validator().validate(structuredClone({ ...document }));
    assert.ok(valid, JSON.stringify(errors, null, 1));
  });

  it('has every endpoint of the app and no other', () => {
    // A path's answer to all other methods has a handler for each method there is.
    const routes = makeApp(gateway.services).router.stack.flatMap(({ route }) => route ?? []);
    const onRouter = routes
      .filter(({ stack }) => stack.length === 1)
      .map(({ path, stack }) => `${stack[0]?.method} ${path}`);
    const described = operations.map(({ method, path }) => `${method} ${path.replace(/\{(\w+)\}/g, ':$1')}`);
    assert.ok(described.length > 40);
    assert.deepEqual(described.sort(), onRouter.sort());
  });

  it('names each operation once, and each path parameter', () => {
    const ids = operations.map(({ operation }) => operation.operationId);
    assert.deepEqual([...new Set(ids)], ids);
    for (const { path, operation } of operations) {
      assert.match(operation.operationId, /^[a-z]+[A-Z]\w*$/);
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const inPath = operation.parameters
        .filter((parameter) => parameter.in === 'path')
        .map(({ name }) => name);
      assert.deepEqual(inPath, named, path);
    }
  });

  it('names only error codes that exist, in words that say what they mean', () => {
    for (const { path, operation } of operations)
      for (const [status, { description }] of Object.entries(operation.responses).filter(([key]) =>
        /^[45]/.test(key),
      ))
        for (const [, code = ''] of description.matchAll(/`(\w+)`/g))
          assert.ok(
            Object.entries(errorTable).some(([name, error]) => name === code && `${error.status}` === status),
            path,
          );
  });

  it('refers only to what is in it', () => {
    for (const [, reference = ''] of JSON.stringify(document).matchAll(/"\$ref":"([^"]*)"/g))
      assert.equal(reference, '#/components/schemas/Problem');
    assert.ok(document.components.schemas.Problem);
  });

  it('describes only paths that answer', async () => {
    for (const { method, path, operation } of operations) {
      const body = operation.requestBody ? {} : undefined;
      const { status, body: answer } = await anonymousClient(gateway).send(
        method.toUpperCase(),
        filled(path),
        body,
      );
      assert.notEqual(status, 405, `${method} ${path}`);
      assert.ok(!String(answer.detail).startsWith('there is nothing at'), `${method} ${path} ${status}`);
    }
  });

  it('says truly who needs to be logged in: a stranger gets 401 before anything of the input is looked at', async () => {
    const open: string[] = [];
    for (const { method, path, operation } of operations) {
      const body = operation.requestBody ? '{"__proto__":' : undefined;
      const { status } = await anonymousClient(gateway).send(method.toUpperCase(), filled(path), body);
      if (status !== 401) open.push(`${method} ${path}`);
      if (operation.description === 'For whoever is logged in.')
        assert.equal(status, 401, `${method} ${path}`);
      if (path.startsWith('/api/v1/admin')) assert.equal(status, 401, `${method} ${path}`);
    }
    assert.deepEqual(open.slice(0, 2), ['post /api/v1/auth/register', 'post /api/v1/auth/login']);
    assert.ok(
      open.slice(2).every((entry) => /\/documents|\/orders|\/\.well-known\//.test(entry)),
      open.join(),
    );
  });

  it('is shown whole at /docs', async () => {
    const page: string = (await anonymousClient(gateway).get('/docs')).body;
    for (const { operation } of operations) assert.ok(page.includes(`id="${operation.operationId}"`));
  });
});
