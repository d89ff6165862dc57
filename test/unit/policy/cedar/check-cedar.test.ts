/** What a policy says in Cedar is put to Cedar's own parser and validator before it is published. */
import assert from 'node:assert/strict';
import { evaluatorNames } from '../../../../src/evaluators/index.ts';
import { compile } from '../../../../src/policy/compile.ts';
import type { CedarPart, ResourceType } from '../../../../src/policy/policy.ts';
import { readDocument, toDocument, toTerseDocument } from '../../../../src/policy/policy-document.ts';
import { policyOf, sampleTypes } from '../sample-policy.ts';

const ticket: ResourceType = {
  type: 'ticket',
  description: '',
  actions: ['read'],
  attributes: { status: { type: 'string' }, amount: { type: 'number' } },
  source: null,
  evaluator: 'cedar',
};

const schema = `entity Role;
entity user in [Role] { roles: Set<String> };
entity ticket { status?: String, amount?: decimal };
action read appliesTo { principal: [user], resource: [ticket], context: {} };`;

function problemsOf(cedar: CedarPart[], types: ResourceType[] = [ticket]) {
  const policy = policyOf([], { resourceTypes: [...sampleTypes, ...types], cedar });
  return compile(policy, { revision: 1, evaluators: evaluatorNames }).problems ?? [];
}

const messages = (...given: Parameters<typeof problemsOf>) =>
  problemsOf(...given).map(({ pointer, message }) => `${pointer} ${message}`);

describe('Cedar as part of the policy', () => {
  it('policies, a schema and entities that are valid are taken', () => {
    const policies =
      '@id("readers") permit(principal in Role::"reader", action == Action::"read", resource);';
    const entities = [{ uid: { type: 'ticket', id: '1' }, attrs: { status: 'open' } }];
    assert.deepEqual(
      problemsOf([
        { id: 'a', policies, entities },
        { id: 'b', schema },
      ]),
      [],
    );
  });

  it('a value that Cedar has none of is refused at its place, with what would be right', () => {
    const attrs = { size: 1.5, list: [{ 'a/b': null }], big: 2 ** 60 };
    const entities = [{ uid: { type: 'ticket', id: '1' }, attrs }];
    assert.deepEqual(messages([{ id: 'a', policies: '', entities }]), [
      '/cedar/0/entities/0/attrs/size is no whole number; Cedar has only these: write {"__extn": {"fn": "decimal", "arg": "1.5"}}',
      '/cedar/0/entities/0/attrs/list/0/a~1b is null, which Cedar has not: leave it out',
      '/cedar/0/entities/0/attrs/big is too large for a number that every reader of JSON takes for the same',
    ]);
  });

  it('a policy that is not Cedar is refused, with the place in its text', () => {
    const [problem] = messages([{ id: 'a', policies: '// ü\npermit(principal, action);' }]);
    assert.match(problem ?? '', /^\/cedar\/0\/policies .* at line 2, column \d+$/);
  });

  it('a policy that the schema does not bear out is refused, with the place in its text', () => {
    const policies =
      'permit(principal, action, resource);\n\nforbid(principal, action, resource) when { resource.statu == "x" };';
    const [problem] = messages([{ id: 'a', policies, schema }]);
    assert.match(problem ?? '', /^\/cedar\/0\/policies .*statu.* at line 3, column 44$/);
  });

  it('a schema that is none is refused at its place, in the part that has it', () => {
    const [problem] = messages([
      { id: 'a', schema },
      { id: 'b', schema: 'entity x;\nentitz y;' },
    ]);
    assert.match(problem ?? '', /^\/cedar\/1\/schema .* at line 2, column 1$/);
  });

  it('an entity that does not fit the schema is refused where it is', () => {
    const entities = [{ uid: { type: 'ticket', id: '1' }, attrs: { status: 1 } }];
    const [problem] = messages([{ id: 'a', schema, entities }]);
    assert.match(problem ?? '', /^\/cedar\/0\/entities\/0 .*status/);
  });

  it('entities that are within each other, in whichever parts, are refused: Cedar would take no request with them', () => {
    const within = (id: string, parent: string) => ({
      uid: { type: 'group', id },
      parents: [{ type: 'group', id: parent }],
    });
    const [problem, ...more] = messages([
      { id: 'a', entities: [within('x', 'y'), within('y', 'z')] },
      { id: 'b', entities: [within('z', 'x')] },
    ]);
    assert.match(problem ?? '', /^\/cedar\/[01]\/entities\/[01]\/parents .*cycle/);
    assert.deepEqual(more, []);
    assert.deepEqual(messages([{ id: 'a', entities: [within('x', 'y'), within('y', 'z')] }]), []);
  });

  it('ids are one across parts: an annotation, else the part and the number', () => {
    const policies = 'permit(principal, action, resource);';
    const twice = messages([
      { id: 'a', policies },
      { id: 'b', policies: `@id("a#1") ${policies}` },
    ]);
    assert.deepEqual(twice, [
      '/cedar/1/policies the policy a#1 is there twice (first in the part a) at line 1, column 1',
    ]);
  });

  it('an id without a value is refused as the empty one is, and no name of an object is special', () => {
    const policies = 'permit(principal, action, resource);';
    const refused = '/cedar/0/policies @id must be of 1 to 200 characters at line 1, column 1';
    assert.deepEqual(messages([{ id: 'a', policies: `@id ${policies}` }]), [refused]);
    assert.deepEqual(messages([{ id: 'a', policies: `@id("") ${policies}` }]), [refused]);
    for (const id of ['__proto__', 'constructor'])
      assert.deepEqual(messages([{ id: 'a', policies: `@id("${id}") ${policies}` }]), []);
  });

  it('templates are refused: nothing could link them', () => {
    const [problem] = messages([{ id: 'a', policies: 'permit(principal == ?principal, action, resource);' }]);
    assert.match(problem ?? '', /templates .* at line 1, column 21$/);
  });

  it('a type that Cedar decides about must be in the schema, with its actions and the kinds of its attributes', () => {
    const cedar = [{ id: 'a', schema }];
    assert.deepEqual(messages(cedar, [{ ...ticket, type: 'invoice' }]), [
      '/resourceTypes/2/type the schema of Cedar has no entity invoice'.replace(
        '2',
        String(sampleTypes.length),
      ),
    ]);
    const [action, attribute] = messages(cedar, [
      { ...ticket, actions: ['read', 'close'], attributes: { amount: { type: 'integer' } } },
    ]);
    assert.match(action ?? '', /\/actions\/1 the schema of Cedar has no action close that applies to ticket/);
    assert.match(
      attribute ?? '',
      /\/attributes\/amount\/type is decimal in the schema of Cedar, where integer is Long/,
    );
  });

  it('so must a type that Cedar is the shadow of, which it could say nothing about', () => {
    const invoice: ResourceType = { ...ticket, type: 'invoice', evaluator: 'casl', shadow: 'cedar' };
    assert.deepEqual(messages([{ id: 'a', schema }], [invoice]), [
      `/resourceTypes/${sampleTypes.length}/type the schema of Cedar has no entity invoice`,
    ]);
    const [action] = messages(
      [{ id: 'a', schema }],
      [{ ...ticket, actions: ['close'], evaluator: 'casl', shadow: 'cedar' }],
    );
    assert.match(action ?? '', /\/actions\/0 the schema of Cedar has no action close that applies to ticket/);
    const alike = { ...invoice, type: 'in' };
    assert.match(
      messages([], [alike, { ...alike, type: 'in-' }])[0] ?? '',
      /is the same in Cedar as in: in_$/,
    );
  });

  it('two types that would be one in Cedar are refused: what is about one would be about the other', () => {
    const [problem] = messages(
      [],
      [
        { ...ticket, type: 'in' },
        { ...ticket, type: 'in-' },
      ],
    );
    assert.match(problem ?? '', /\/type is the same in Cedar as in: in_$/);
  });

  it('attack: a policy nested so deep that it breaks the engine is refused, and the next is read', () => {
    const deep = `permit(principal, action, resource) when { ${'('.repeat(3000)}true${')'.repeat(3000)} };`;
    assert.match(messages([{ id: 'a', policies: deep }])[0] ?? '', /nested too deep/);
    assert.deepEqual(problemsOf([{ id: 'a', policies: 'permit(principal, action, resource);' }]), []);
  });

  it('is read from a document as it is written, and a document without it does not name it', () => {
    const cedar = [{ id: 'a', policies: 'permit(principal, action, resource);\n', schema }];
    const policy = policyOf([], { cedar });
    assert.deepEqual(readDocument(JSON.parse(JSON.stringify(toDocument(policy)))).policy.cedar, cedar);
    assert.deepEqual(readDocument(toTerseDocument(policy)).policy.cedar, cedar);
    assert.equal('cedar' in toDocument(policyOf([])), false);
  });
});
