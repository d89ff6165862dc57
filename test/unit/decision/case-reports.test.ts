/** Reports of cases: what the author of a case wrote stays within its line and its element. */
import assert from 'node:assert/strict';
import { caseReport } from '../../../src/cli/case-report.ts';
import { caseReports } from '../../../src/decision/case-reports.ts';
import type { CaseResult } from '../../../src/decision/run-cases.ts';

const result = (name: string, message?: string): CaseResult => ({
  id: 'a-case',
  name,
  passed: message === undefined,
  expected: 'deny',
  got: 'deny',
  rule: null,
  ...(message !== undefined && { message }),
});

describe('a report of cases', () => {
  const hostile = [
    result('one\nok 2 - forged', 'got\u001b[2K\u009b1A\nBail out!'),
    result('# SKIP \\ \u202egnp'),
  ];

  it('attack: a name forges no line of TAP, skips nothing and moves no cursor', () => {
    assert.deepEqual(caseReports.tap(hostile).content.split('\n'), [
      'TAP version 14',
      '1..2',
      'not ok 1 - a-case: one\\\\nok 2 - forged',
      '  ---',
      '  message: "got\\u001b[2K\\u009b1A\\nBail out!"',
      '  ...',
      'ok 2 - a-case: \\# SKIP \\\\ \\\\u202egnp',
      '',
    ]);
  });

  it('attack: a name forges no line of a text report', () => {
    assert.deepEqual(caseReport(hostile, 'text').split('\n'), [
      'FAILED  a-case: one\\nok 2 - forged: got\\u001b[2K\\u009b1A\\nBail out!',
      '1 of 2 cases failed',
      '',
    ]);
  });

  it('JUnit holds nothing that XML does not: U+FFFE, U+FFFF, half pairs, control characters', () => {
    const { content } = caseReports.junit([result('a\uFFFEb\uFFFFc\uD800d\u0000e\u{1F3F0}', '"<&>\n\u001b')]);
    assert.match(content, /name="a-case: a\uFFFDb\uFFFDc\\ud800d\\u0000e\u{1F3F0}"/u);
    assert.match(content, /message="&quot;&lt;&amp;&gt;\\n\\u001b"/);
    assert.doesNotMatch(content, /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u);
  });
});
