import assert from 'node:assert/strict';
import { Validator } from '@seriousme/openapi-schema-validator';
import Joi from 'joi';
import { jsonSchemaOf } from '../../../src/http/json-schema.ts';
import { type DescribedEndpoint, openApiDocument } from '../../../src/http/openapi.ts';

const thing = Joi.object({
  key: Joi.string().required(),
  name: Joi.string().default(Joi.ref('key')),
  kind: Joi.string().valid('small', 'large', null),
  sizes: Joi.object().pattern(Joi.string(), Joi.number()),
});
const endpoints: DescribedEndpoint[] = [
  {
    method: 'get',
    path: '/api/v1/admin/things/:key',
    summary: 'Read a thing',
    access: { action: 'read', resource: 'thing', load: () => undefined },
    params: Joi.object({ key: Joi.string().max(9).required() }),
    reply: { status: 200, description: 'The thing', shape: thing },
  },
  {
    method: 'put',
    path: '/api/v1/admin/things/:key',
    summary: 'Replace a thing',
    access: { action: 'update', resource: 'thing', load: () => undefined, writes: () => [] },
    params: Joi.object({ key: Joi.string().max(9).required() }),
    body: thing,
    errors: ['stale_version'],
    reply: { status: 200, description: 'The thing', shape: thing },
  },
  {
    method: 'post',
    path: '/api/v1/things',
    summary: 'Make things up',
    access: 'public',
    query: Joi.object({ dryRun: Joi.boolean(), at: Joi.date().required() }),
    body: Joi.object({ count: Joi.number().default(1) }),
    reply: { status: 204, description: 'Made' },
  },
  {
    method: 'delete',
    path: '/api/v1/things',
    summary: 'Drop things',
    access: 'account',
    reply: { status: 204, description: 'Dropped' },
  },
];

describe('the OpenAPI document', () => {
  const document = openApiDocument(endpoints);
  const { get, put } = document.paths['/api/v1/admin/things/{key}'] ?? {};
  const { post, delete: drop } = document.paths['/api/v1/things'] ?? {};

  it('is valid OpenAPI 3.1', async () => {
    const { valid, errors } = await new Validator().validate(JSON.parse(JSON.stringify(document)));
    assert.ok(valid, JSON.stringify(errors, null, 1));
  });

  it('names each operation by its method and path', () => {
    assert.equal(get?.operationId, 'getAdminThingsKey');
    assert.equal(post?.operationId, 'postThings');
    assert.deepEqual(get?.tags, ['admin: things']);
    assert.deepEqual(document.tags, [{ name: 'admin: things' }, { name: 'things' }]);
  });

  it('says who may, and needs no token where everybody may', () => {
    assert.equal(get?.description, 'For those whom a rule allows to `read` the `thing`.');
    assert.equal(drop?.description, 'For whoever is logged in.');
    assert.deepEqual([get?.security, post?.security], [[{ bearer: [] }, { cookie: [] }], []]);
  });

  it('has every parameter: path, query, and the headers that mean something there', () => {
    const named = (parameters = post?.parameters) =>
      parameters?.map(({ name, in: place, required }) => `${place} ${name}${required ? '!' : ''}`);
    assert.deepEqual(named(), ['query dryRun', 'query at!']);
    assert.deepEqual(named(get?.parameters), ['path key!', 'header Castellan-Min-Revision']);
    assert.deepEqual(named(put?.parameters), [
      'path key!',
      'header Castellan-Min-Revision',
      'header If-Match',
    ]);
    assert.equal(get?.parameters[0]?.schema.maxLength, 9);
  });

  it('lets a body be left out where an empty one would do', () => {
    assert.equal(put?.requestBody?.required, true);
    assert.equal(post?.requestBody?.required, false);
    assert.equal(drop?.requestBody, undefined);
  });

  it('lists by status the errors that an endpoint can give, those of its kind included', () => {
    const errors = (operation = get) =>
      Object.entries(operation?.responses ?? {}).map(
        ([status, { description }]) => `${status} ${description}`,
      );
    assert.deepEqual(errors(), [
      '200 The thing',
      '400 `invalid_request`',
      '401 `unauthenticated`',
      '403 `access_denied`',
      '404 `not_found`',
      '503 `policy_stale`, `revision_not_reached`',
      'default Any other problem',
    ]);
    assert.ok(errors(put).includes('403 `cross_site_request`, `access_denied`, `fields_denied`'));
    assert.ok(errors(put).includes('412 `stale_version`'));
    assert.ok(errors(post).includes('413 `body_too_large`'));
    assert.ok(errors(drop).includes('401 `unauthenticated`'));
  });

  it('describes what may be sent without the defaults, and what comes back with them', () => {
    assert.deepEqual(put?.requestBody?.content['application/json']?.schema.required, ['key']);
    assert.deepEqual(put?.responses[200]?.content?.['application/json']?.schema.required, ['key', 'name']);
  });
});

describe('JSON Schema made from joi', () => {
  it('leaves out a default that is made of another field or by a function', () => {
    const { properties } = jsonSchemaOf(thing.keys({ at: Joi.date().default(() => new Date()) }), 'input');
    assert.deepEqual([properties?.name?.default, properties?.at?.default], [undefined, undefined]);
  });

  it('takes null into the values of a nullable choice, at any depth', () => {
    const nested = Joi.array().items(Joi.alternatives(Joi.number(), Joi.object({ deep: thing })));
    const { enum: values } =
      jsonSchemaOf(nested, 'input').items?.anyOf?.[1]?.properties?.deep?.properties?.kind ?? {};
    assert.deepEqual(values, ['small', 'large', null]);
  });

  it('describes an object of any keys by additionalProperties', () => {
    const { properties } = jsonSchemaOf(thing, 'input');
    assert.deepEqual(properties?.sizes, { type: 'object', additionalProperties: { type: 'number' } });
  });
});
