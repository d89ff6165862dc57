import assert from 'node:assert/strict';
import { builtInTypes } from '../../../src/policy/built-in.ts';
import { checkParts } from '../../../src/policy/check-parts.ts';
import type { AttributeSpec, Policy, ResourceType, Role } from '../../../src/policy/policy.ts';
import { policyOf, roleOf, sampleTypes, typeOf } from './sample-policy.ts';

function problemsOf(rest: Partial<Policy>): string[] {
  return checkParts(policyOf([], rest), ['casl', 'cedar']).map(
    ({ pointer, code, suggestion }) => `${pointer} ${code}${suggestion ? ` → ${suggestion}` : ''}`,
  );
}

const withType = (type: ResourceType) => ({ resourceTypes: [...builtInTypes, type] });
const at = `/resourceTypes/${builtInTypes.length}`;
const withRoles = (...roles: Role[]) => ({ roles });

/** The built-in types with one of them changed. */
function withBuiltIn(name: string, change: (type: ResourceType) => ResourceType): Partial<Policy> {
  return { resourceTypes: builtInTypes.map((type) => (type.type === name ? change(type) : type)) };
}

function pointerTo(name: string): string {
  return `/resourceTypes/${builtInTypes.findIndex(({ type }) => type === name)}`;
}

describe('checking resource types', () => {
  it('finds nothing wrong with the built-in ones, alone or with others', () => {
    assert.deepEqual(problemsOf({ resourceTypes: [...builtInTypes] }), []);
    assert.deepEqual(problemsOf({ resourceTypes: [...sampleTypes] }), []);
  });

  it('refuses a type that is there twice', () => {
    assert.deepEqual(problemsOf({ resourceTypes: [...builtInTypes, typeOf('note'), typeOf('note')] }), [
      `/resourceTypes/${builtInTypes.length + 1}/type duplicate`,
    ]);
  });

  it('refuses the names that stand for everything', () => {
    assert.deepEqual(problemsOf(withType(typeOf('all', { actions: ['manage'] }))), [
      `${at}/type reserved`,
      `${at}/actions reserved`,
    ]);
  });

  it('refuses an evaluator that is not there: nobody could decide', () => {
    assert.deepEqual(problemsOf(withType(typeOf('note', { evaluator: 'opa' }))), [
      `${at}/evaluator unknown_evaluator`,
    ]);
    assert.deepEqual(problemsOf(withType(typeOf('note', { evaluator: 'cedar' }))), []);
  });

  for (const name of [
    '__proto__',
    'constructor',
    'prototype',
    'toString',
    'valueOf',
    'a.b',
    'a b',
    '1st',
    '',
  ]) {
    it(`refuses "${name}" as the name of an attribute`, () => {
      const attributes = Object.fromEntries([[name, { type: 'string' } satisfies AttributeSpec]]);
      assert.deepEqual(problemsOf(withType(typeOf('note', { attributes }))), [
        `${at}/attributes/${name} unsafe_path`,
      ]);
    });
  }

  it('escapes the pointer to an attribute as RFC 6901 wants', () => {
    assert.deepEqual(problemsOf(withType(typeOf('note', { attributes: { 'a/b~c': { type: 'string' } } }))), [
      `${at}/attributes/a~1b~0c unsafe_path`,
    ]);
  });

  it('refuses items of what is no list', () => {
    const attributes: ResourceType['attributes'] = { title: { type: 'string', items: 'string' } };
    assert.deepEqual(problemsOf(withType(typeOf('note', { attributes }))), [
      `${at}/attributes/title/items shape`,
    ]);
  });

  it('refuses an enum whose values do not fit its type', () => {
    const enumOf = (type: AttributeSpec['type'], ...values: (string | number)[]) =>
      problemsOf(withType(typeOf('note', { attributes: { level: { type, enum: values } } })));
    assert.deepEqual(enumOf('integer', 1, 2), []);
    assert.deepEqual(enumOf('integer', 1, 2.5), [`${at}/attributes/level/enum shape`]);
    assert.deepEqual(enumOf('integer', 1, '2'), [`${at}/attributes/level/enum shape`]);
    assert.deepEqual(enumOf('date', '2026-01-01', 'now'), [`${at}/attributes/level/enum shape`]);
  });
});

describe('the built-in resource types', () => {
  for (const { type, actions, attributes } of builtInTypes) {
    it(`include ${type}, which the gateway itself asks about`, () => {
      assert.deepEqual(problemsOf({ resourceTypes: builtInTypes.filter((other) => other.type !== type) }), [
        '/resourceTypes built_in',
      ]);
    });

    for (const action of actions) {
      it(`keep the action ${action} of ${type}`, () => {
        const without = withBuiltIn(type, (kept) => ({
          ...kept,
          actions: kept.actions.filter((other) => other !== action),
        }));
        assert.deepEqual(problemsOf(without), [`${pointerTo(type)}/actions built_in`]);
      });
    }

    for (const [name, { type: declared }] of Object.entries(attributes)) {
      it(`keep the attribute ${name} of ${type}, with its type`, () => {
        const { [name]: _, ...others } = attributes;
        const without = withBuiltIn(type, (kept) => ({ ...kept, attributes: others }));
        const retyped = withBuiltIn(type, (kept) => ({
          ...kept,
          attributes: { ...others, [name]: { type: declared === 'object' ? 'string' : 'object' } },
        }));
        assert.deepEqual(problemsOf(without), [`${pointerTo(type)}/attributes/${name} built_in`]);
        assert.deepEqual(problemsOf(retyped), [`${pointerTo(type)}/attributes/${name} built_in`]);
      });
    }
  }

  it('keep what their lists hold', () => {
    const changed = withBuiltIn('castellan.role', (type) => ({
      ...type,
      attributes: { ...type.attributes, inherits: { type: 'array', items: 'object' } },
    }));
    assert.deepEqual(problemsOf(changed), [`${pointerTo('castellan.role')}/attributes/inherits built_in`]);
  });

  it('take more actions and attributes', () => {
    const more = withBuiltIn('user', (type) => ({
      ...type,
      actions: [...type.actions, 'praise'],
      attributes: { ...type.attributes, department: { type: 'string' } },
    }));
    assert.deepEqual(problemsOf(more), []);
  });

  it('keep the evaluator of accounts: another one could lock everybody out', () => {
    assert.deepEqual(problemsOf(withBuiltIn('user', (type) => ({ ...type, evaluator: 'cedar' }))), [
      `${pointerTo('user')}/evaluator built_in`,
    ]);
  });
});

describe('checking roles', () => {
  it('finds nothing wrong with roles that inherit in a diamond', () => {
    const roles = [
      roleOf('top', ['left', 'right']),
      roleOf('left', ['base']),
      roleOf('right', ['base']),
      roleOf('base'),
    ];
    assert.deepEqual(problemsOf({ roles }), []);
  });

  it('refuses a role that is there twice', () => {
    assert.deepEqual(problemsOf(withRoles(roleOf('editor'), roleOf('editor'))), ['/roles/1/key duplicate']);
  });

  for (const key of ['everyone', 'authenticated', 'anonymous']) {
    it(`refuses to define ${key}, which follows from who asks`, () => {
      assert.deepEqual(problemsOf(withRoles(roleOf(key))), ['/roles/0/key reserved']);
    });

    it(`refuses to inherit ${key}`, () => {
      assert.deepEqual(problemsOf(withRoles(roleOf('editor', [key]))), ['/roles/0/inherits/0 unknown_role']);
    });
  }

  it('refuses an unknown parent, and names the one that was meant', () => {
    const roles = [roleOf('editor', ['reader', 'audtor', 'nobody']), roleOf('reader'), roleOf('auditor')];
    assert.deepEqual(problemsOf({ roles }), [
      '/roles/0/inherits/1 unknown_role → auditor',
      '/roles/0/inherits/2 unknown_role',
    ]);
  });

  it('refuses a role that inherits itself', () => {
    assert.deepEqual(problemsOf(withRoles(roleOf('editor', ['editor']))), ['/roles/0/inherits cycle']);
  });

  it('refuses a ring of roles, shows it, and leaves out the role that only leads to it', () => {
    const roles = [roleOf('a', ['b']), roleOf('b', ['c']), roleOf('c', ['a']), roleOf('d', ['a'])];
    const problems = checkParts(policyOf([], { roles }), ['casl']);
    assert.deepEqual(
      problems.map(({ pointer, code }) => `${pointer} ${code}`),
      ['/roles/0/inherits cycle', '/roles/1/inherits cycle', '/roles/2/inherits cycle'],
    );
    assert.match(problems[0]?.message ?? '', /a → b → c → a/);
  });

  it('finds a ring behind many other ways, quickly', () => {
    const layers = 30;
    const roles = Array.from({ length: layers }, (_, layer) =>
      ['l', 'r'].map((side) =>
        roleOf(`${side}${layer}`, layer + 1 < layers ? [`l${layer + 1}`, `r${layer + 1}`] : ['l0']),
      ),
    ).flat();
    assert.equal(problemsOf({ roles }).length, 2 * layers - 1);
  });
});

describe('checking a policy document', () => {
  it('refuses a rule that is there twice: one of them would be lost', () => {
    const problems = checkParts(policyOf([{ id: 'a' }, { id: 'b' }, { id: 'a' }]), ['casl']);
    assert.deepEqual(
      problems.map(({ pointer, code }) => `${pointer} ${code}`),
      ['/rules/2/id duplicate'],
    );
  });

  it('says everything that is wrong at once', () => {
    const problems = problemsOf({
      resourceTypes: [...builtInTypes, typeOf('all', { evaluator: 'opa' })],
      roles: [roleOf('everyone', ['nobody'])],
    });
    assert.deepEqual(problems, [
      `${at}/type reserved`,
      `${at}/evaluator unknown_evaluator`,
      '/roles/0/key reserved',
      '/roles/0/inherits/0 unknown_role',
    ]);
  });
});
