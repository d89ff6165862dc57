/** Results of cases as commands print them. */
import { caseReports } from '../decision/case-reports.ts';
import type { CaseResult } from '../decision/run-cases.ts';
import { plainLine } from '../policy/plain-line.ts';
import { count } from './problem-lines.ts';

export const caseFormats = ['text', 'json', 'junit', 'tap'] as const;

/** The report in that format; text has a line for each that fails, and one that counts them. */
export function caseReport(results: readonly CaseResult[], format: unknown, more: object = {}): string {
  const failed = results.filter(({ passed }) => !passed);
  const passed = results.length - failed.length;
  if (format === 'junit' || format === 'tap') return caseReports[format](results).content;
  if (format === 'json') return `${JSON.stringify({ ...more, passed, failed: failed.length, results })}\n`;
  const lines = [...byCase(results)].flatMap(([id, of]) => linesOf(id, of));
  const total =
    failed.length === 0
      ? `ok: ${count(passed, 'case')} passed`
      : `${failed.length} of ${count(results.length, 'case')} failed`;
  return [...lines.map(plainLine), total, ''].join('\n');
}

/** The questions of each case: a matrix has many. */
function byCase(results: readonly CaseResult[]): Map<string, CaseResult[]> {
  const groups = new Map<string, CaseResult[]>();
  for (const result of results) {
    const [id = ''] = result.id.split('/');
    const group = groups.get(id);
    if (group) group.push(result);
    else groups.set(id, [result]);
  }
  return groups;
}

/** Of a matrix that holds one line is enough. */
function linesOf(id: string, results: readonly CaseResult[]): string[] {
  const failed = results.filter(({ passed }) => !passed);
  const [first] = results;
  const isMatrix = first?.id !== id;
  const title = isMatrix ? `${id} (${count(results.length, 'question')})` : titleOf(first);
  return failed.length === 0
    ? [`ok      ${title}`]
    : failed.map((result) => `FAILED  ${titleOf(result)}: ${result.message}`);
}

function titleOf({ id, name }: CaseResult): string {
  return name === undefined ? id : `${id}: ${name}`;
}
