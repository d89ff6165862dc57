/** Failures of commands as machines and people are told them. */
import assert from 'node:assert/strict';
import { linesText, UsageError } from '../../../src/cli/command.ts';
import { failureOf, ProblemsFound } from '../../../src/cli/failure.ts';
import { failureLine } from '../../../src/cli/failure-line.ts';
import { ConfigError } from '../../../src/config.ts';
import { AppError, invalidField } from '../../../src/errors.ts';
import { DatabaseError } from '../../../src/storage/postgres.ts';

const problem = { pointer: '/rules/0', code: 'shape', message: 'is required' };

describe('a failure of a command', () => {
  const cases = [{ id: 'a-case', message: 'expected deny, got allow' }];
  const table: [string, unknown, object][] = [
    ['what was typed', new UsageError('no'), { code: 'usage', message: 'no' }],
    ['a file', new UsageError('no', { code: 'unreadable' }), { code: 'unreadable', message: 'no' }],
    ['a setting', new ConfigError('PORT: no'), { code: 'settings', message: 'PORT: no' }],
    ['the database', new DatabaseError('gone'), { code: 'unavailable', message: 'gone' }],
    ['anything else', new Error('odd'), { code: 'internal_error', message: 'odd' }],
    [
      'problems of a policy',
      new ProblemsFound([problem], 'nothing was imported'),
      { code: 'policy_invalid', message: '1 problem; nothing was imported', problems: [problem] },
    ],
    [
      'broken cases',
      new AppError('cases_broken', { message: '1 case', members: { cases } }),
      { code: 'cases_broken', message: '1 case', cases },
    ],
    [
      'a field',
      invalidField('/email', 'must be one'),
      {
        code: 'invalid_request',
        message: 'must be one',
        problems: [{ pointer: '/email', message: 'must be one' }],
      },
    ],
  ];
  for (const [what, cause, expected] of table)
    it(`has a code for machines: ${what}`, () => assert.deepEqual(failureOf(cause), expected));

  it('attack: what others wrote moves no cursor and makes no line where people read it', () => {
    const told = failureLine(new AppError('conflict', { message: 'role a\u001b[2K\nok' }));
    assert.equal(told, 'role a\\u001b[2K\\nok');
    assert.equal(linesText(['2  me: a\r\u001b[2K\n1  you', 'b']), '2  me: a\\r\\u001b[2K\\n1  you\nb\n');
  });
});
