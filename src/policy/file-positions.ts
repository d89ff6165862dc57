/** From JSON pointers into a policy file to the lines and columns of its text. */
import { type JSONVisitor, type Node as JsonNode, parseTree, printParseErrorCode, visit } from 'jsonc-parser';
import { type Document, isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import { DEEPEST, TOO_DEEP, type YamlProblem } from './yaml.ts';

/** Both count from 1. */
export interface Position {
  line: number;
  column: number;
}

/** What keeps a text from being read, and where. */
export interface SyntaxProblem extends Position {
  message: string;
}

/** One step on the way of a pointer: where the key or element begins, and where the value does if it is a single one. */
interface Step {
  offset: number;
  scalarOffset?: number | undefined;
}

/** Where something is: its key, or its value when that is a single one and `what` asks for it. */
export type PositionOf = (pointer: string, what: 'key' | 'value') => Position;

/** Of a YAML text; aliases are followed to what they stand for. */
export function yamlPositions(text: string): PositionOf {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: false, // else it compares each with all before it
    resolveKnownTags: false,
  });
  const start = isNode(document.contents) ? (document.contents.range?.[0] ?? 0) : 0;
  return positionsBy(lines, start, (path) => stepsInYaml(document, path));
}

/** Of a JSON text. */
export function jsonPositions(text: string): PositionOf {
  const root = parseTree(text);
  return positionsBy(linesOf(text), root?.offset ?? 0, (path) => stepsInJson(root, path));
}

/** Everything that keeps a text from being YAML. */
export function yamlErrors(problems: readonly YamlProblem[], lines: LineCounter): SyntaxProblem[] {
  return problems.map(({ offset, message }) => ({ ...positionAt(lines, offset), message }));
}

/** What keeps a text from being JSON that is read; only the first, since what follows it is guesswork. */
export function jsonErrors(text: string): SyntaxProblem[] {
  try {
    visit(text, firstError(text), { disallowComments: true });
    return [];
  } catch (cause) {
    if (!(cause instanceof FirstError)) throw cause;
    return [{ ...cause.position, message: cause.message }];
  }
}

/** Ends the reading where a text stops being what is read. */
class FirstError extends Error {
  readonly position: Position;

  constructor(position: Position, message: string) {
    super(message);
    this.position = position;
  }
}

/** Throws at the first error, which may be that it is nested deeper than a recursive reader can bear. */
function firstError(text: string): JSONVisitor {
  let depth = 0;
  const fail = (offset: number, message: string) => {
    throw new FirstError(positionAt(linesOf(text), offset), message);
  };
  const begin = (offset: number) => {
    depth++;
    if (depth > DEEPEST) fail(offset, TOO_DEEP);
  };
  const end = () => {
    depth--;
  };
  return {
    onObjectBegin: begin,
    onArrayBegin: begin,
    onObjectEnd: end,
    onArrayEnd: end,
    onError: (error, offset) => fail(offset, `it is not JSON: ${printParseErrorCode(error)}`),
  };
}

/** What is not there is looked for where it should be: the last step that is there. */
function positionsBy(lines: LineCounter, start: number, stepsTo: (path: string[]) => Step[]): PositionOf {
  return (pointer, what) => {
    const path = pointer.split('/').slice(1).map(unescapePointer);
    const steps = stepsTo(path);
    const last = steps.at(-1);
    const isThere = steps.length === path.length;
    const offset = isThere && what === 'value' ? (last?.scalarOffset ?? last?.offset) : last?.offset;
    return positionAt(lines, offset ?? start);
  };
}

function stepsInYaml(document: Document, path: string[]): Step[] {
  const steps: Step[] = [];
  let node: unknown = document.contents;
  for (const name of path) {
    if (isAlias(node)) node = node.resolve(document);
    let key: unknown;
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === name);
      [key, node] = [pair?.key, pair?.value];
    } else if (isSeq(node)) {
      node = node.items[Number(name)];
      key = node;
    }
    const offset = isNode(key) ? key.range?.[0] : undefined;
    if (offset === undefined) break;
    steps.push({ offset, scalarOffset: isScalar(node) ? node.range?.[0] : undefined });
  }
  return steps;
}

function stepsInJson(root: JsonNode | undefined, path: string[]): Step[] {
  const steps: Step[] = [];
  let node = root;
  for (const name of path) {
    const member =
      node?.type === 'object' && node.children?.findLast(({ children }) => children?.[0]?.value === name);
    const key: JsonNode | undefined = member
      ? member.children?.[0]
      : node?.type === 'array'
        ? node.children?.[Number(name)]
        : undefined;
    node = member ? member.children?.[1] : key;
    if (!key) break;
    steps.push({ offset: key.offset, scalarOffset: node?.children ? undefined : node?.offset });
  }
  return steps;
}

function linesOf(text: string): LineCounter {
  const lines = new LineCounter();
  lines.addNewLine(0);
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines.addNewLine(at + 1);
  return lines;
}

function positionAt(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

function unescapePointer(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~');
}
