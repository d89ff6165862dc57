import assert from 'node:assert/strict';
import { askedAbout, storedFacts } from '../../../src/audit/stored-facts.ts';
import { snapshotOf } from '../policy/sample-policy.ts';

/** A template, which biome takes for a slip when it is written out. */
const template = (name: string) => `\${principal.${name}}`;
const NONE: ReadonlySet<string> = new Set();

function stored(facts: Record<string, unknown>, asked = NONE) {
  const omitted: string[] = [];
  const kept = JSON.parse(JSON.stringify(storedFacts('resource', facts, asked, omitted)));
  return { kept, omitted };
}

describe('what is written down of facts', () => {
  it('is all that is short', () => {
    const facts = {
      id: 'd1',
      pages: 3,
      isPinned: false,
      tags: ['a'],
      meta: { a: { b: 1 } },
      title: 't'.repeat(500),
    };
    assert.deepEqual(stored(facts), { kept: facts, omitted: [] });
  });

  it('is no text of more than 500 characters that no rule asks about; one that a rule asks about is whole', () => {
    const body = 'b'.repeat(501);
    assert.deepEqual(stored({ id: 'd1', body }), { kept: { id: 'd1' }, omitted: ['resource.body'] });
    const whole = 'b'.repeat(50_000);
    assert.deepEqual(stored({ body: whole }, new Set(['resource.body'])), {
      kept: { body: whole },
      omitted: [],
    });
  });

  it('is no list and no object that is large all together', () => {
    const list = Array.from({ length: 3000 }, () => 1);
    const object = { a: { b: Array.from({ length: 30 }, () => 'x'.repeat(100)) } };
    const keys = Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`a-long-name-of-a-key-${n}`, 1]));
    assert.deepEqual(stored({ list, object, keys }), {
      kept: {},
      omitted: ['resource.list', 'resource.object', 'resource.keys'],
    });
  });

  it('is nothing under a name that sounds like a secret, at any depth, even where a rule asks about it', () => {
    const facts = { apiToken: 's', meta: { passwordHash: 's', kept: [{ clientSecret: 's', a: 1 }] } };
    const asked = new Set(['resource.apiToken', 'resource.meta']);
    assert.deepEqual(stored(facts, asked), {
      kept: { meta: { kept: [{ a: 1 }] } },
      omitted: ['resource.apiToken', 'resource.meta.passwordHash', 'resource.meta.kept.0.clientSecret'],
    });
  });

  it('is no copy by reference: what changes later changes nothing', () => {
    const facts = { meta: { a: 1 } };
    const kept = storedFacts('resource', facts, NONE, []);
    facts.meta.a = 2;
    assert.deepEqual(JSON.stringify(kept), '{"meta":{"a":1}}');
  });
});

describe('what rules ask about', () => {
  it('is found in conditions, templates, elements and when', () => {
    const snapshot = snapshotOf({
      conditions: {
        $or: [{ 'meta.a': 1 }, { $nor: [{ ownerId: template('managerId') }] }],
        department: { $in: [template('department'), 'x'] },
        parts: { $elemMatch: { size: { $gt: 1 } } },
      },
      when: { 'principal.level': { $gt: 1 }, 'context.ip': '10.0.0.1', 'action.amount': { $lt: 5 } },
    });
    assert.deepEqual([...askedAbout(snapshot, 'document')].sort(), [
      'action.amount',
      'context.ip',
      'principal.department',
      'principal.level',
      'principal.managerId',
      'resource.department',
      'resource.meta',
      'resource.ownerId',
      'resource.parts',
    ]);
  });

  it('is that of rules about the type, and of those about every type', () => {
    const snapshot = snapshotOf(
      { conditions: { notes: 'x' } },
      { subject: 'all', conditions: { id: 'x' } },
      { subject: 'order', conditions: { status: 'open' } },
    );
    assert.deepEqual([...askedAbout(snapshot, 'order')].sort(), ['resource.id', 'resource.status']);
    assert.equal(askedAbout(snapshot, 'invoice').size, 0);
  });
});
