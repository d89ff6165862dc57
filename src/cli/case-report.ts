/** Results of cases as commands print them. */
import { caseReports } from '../decision/case-reports.ts';
import type { CaseResult } from '../decision/run-cases.ts';
import { count } from './problem-lines.ts';

export const caseFormats = ['text', 'json', 'junit', 'tap'] as const;

/** The report in that format; text has a line for each that fails, and one that counts them. */
export function caseReport(results: readonly CaseResult[], format: unknown, more: object = {}): string {
  const failed = results.filter(({ passed }) => !passed);
  const passed = results.length - failed.length;
  if (format === 'junit' || format === 'tap') return caseReports[format](results).content;
  if (format === 'json') return `${JSON.stringify({ ...more, passed, failed: failed.length, results })}\n`;
  const lines = results.map(({ id, name, passed: ok, message }) => {
    const title = name === undefined ? id : `${id}: ${name}`;
    return ok ? `ok      ${title}` : `FAILED  ${title}: ${message}`;
  });
  const total =
    failed.length === 0
      ? `ok: ${count(passed, 'case')} passed`
      : `${failed.length} of ${count(results.length, 'case')} failed`;
  return [...lines, total, ''].join('\n');
}
