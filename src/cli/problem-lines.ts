/** Problems of a policy as compilers tell theirs: a line each that editors and CI find the place by. */
import type { Problem } from '../errors.ts';
import { order } from '../policy/compile.ts';
import { plainLine } from '../policy/plain-line.ts';
import { isPlaced } from '../policy/policy-file.ts';

/** `file:line:column: message (code)`; what is in no file is in the policy in force. */
export function problemLine(problem: Problem): string {
  const { message, code } = problem;
  const place = isPlaced(problem)
    ? `${problem.file}:${problem.line}:${problem.column}`
    : 'in the policy in force';
  return plainLine(`${place}: ${subjectOf(problem)}${message} (${code})`);
}

/** Messages about shapes are said of what the pointer names: `is required` is of no use without it. */
function subjectOf({ pointer, code }: Problem): string {
  if (code !== 'shape' && code !== 'unknown_key') return '';
  const [tail = ''] = /[^/]*(\/\d+)*$/.exec(pointer) ?? [];
  return tail && `${tail}: `;
}

/** In the order of their places. */
export function byPlace(a: Problem, b: Problem): number {
  if (!isPlaced(a) || !isPlaced(b)) return Number(isPlaced(b)) - Number(isPlaced(a));
  return order(a.file, b.file) || a.line - b.line || a.column - b.column;
}

/** `1 problem`, `3 problems` */
export function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? '' : 's'}`;
}
