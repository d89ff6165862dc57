/** Results of cases as test runners write them: JUnit XML and TAP. */
import { plainLine } from '../policy/plain-line.ts';
import type { CaseResult } from './run-cases.ts';

export type ReportFormat = 'json' | 'junit' | 'tap';

type Report = (results: readonly CaseResult[]) => { type: string; content: string };

export const caseReports: Record<Exclude<ReportFormat, 'json'>, Report> = {
  junit: (results) => ({ type: 'application/xml', content: junit(results) }),
  tap: (results) => ({ type: 'text/plain', content: tap(results) }),
};

/** JUnit's XML as CI servers read it: one suite, a test for each question. */
function junit(results: readonly CaseResult[]): string {
  const failures = results.filter(({ passed }) => !passed).length;
  const cases = results.map(({ id, name, passed, message = '' }) => {
    const attributes = `classname="policy" name="${escapeXml(name ? `${id}: ${name}` : id)}"`;
    return passed
      ? `    <testcase ${attributes}/>`
      : `    <testcase ${attributes}>\n      <failure message="${escapeXml(message)}"/>\n    </testcase>`;
  });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites tests="${results.length}" failures="${failures}">`,
    `  <testsuite name="policy cases" tests="${results.length}" failures="${failures}">`,
    ...cases,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

function escapeXml(text: string): string {
  const named: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  // Control characters, half of a surrogate pair and these two cannot be in XML 1.0 at all, escaped or not.
  return plainLine(text)
    .replace(/[&<>"]/g, (found) => named[found] ?? found)
    .replace(/[\uFFFE\uFFFF]/g, '\uFFFD');
}

/** TAP version 14. */
function tap(results: readonly CaseResult[]): string {
  const lines = results.map(({ id, name, passed, message }, index) => {
    const title = plainLine(name ? `${id}: ${name}` : id).replace(/[\\#]/g, '\\$&');
    const line = `${passed ? 'ok' : 'not ok'} ${index + 1} - ${title}`;
    return passed ? line : `${line}\n  ---\n  message: ${plainLine(JSON.stringify(message))}\n  ...`;
  });
  return ['TAP version 14', `1..${results.length}`, ...lines, ''].join('\n');
}
