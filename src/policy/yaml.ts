/** YAML held to what JSON can say: one document, texts as keys, no tags, so that what is read is what stands there. */
import {
  Composer,
  CST,
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  Parser,
} from 'yaml';

/** What keeps a text from being read; the offset counts UTF-16 units. */
export interface YamlProblem {
  offset: number;
  message: string;
}

/** A document without problems, or the first of them. */
export interface ReadYaml {
  document: Document | undefined;
  lines: LineCounter;
  problems: YamlProblem[];
}

/** What follows so many errors is guesswork, and a megabyte of errors takes a minute to make. */
const MOST_PROBLEMS = 20;

/** Deeper than any policy is; lists that are opened and opened take seconds to read. */
export const DEEPEST = 64;
export const TOO_DEEP = `it is nested deeper than ${DEEPEST}`;
const depthOf: Readonly<Record<string, number>> = { '[': 1, '{': 1, ']': -1, '}': -1 };

/** Reads one document in time that grows with its length. Never throws for what the text says. */
export function readYaml(text: string): ReadYaml {
  const lines = new LineCounter();
  const refused = refusedTokens(text);
  if (refused.length > 0) {
    addLines(text, lines);
    return { document: undefined, lines, problems: refused };
  }
  const { document, problems } = compose(text, lines);
  if (document && problems.length === 0) problems.push(...refusedNodes(document));
  return { document: problems.length === 0 ? document : undefined, lines, problems };
}

/**
 * Tags and other versions of YAML make values that JSON has not: `conditions: !!omap [...]` would be a Map, which is
 * written as `{}`, and the rule would match everything. They are refused before anything is made of them.
 */
function refusedTokens(text: string): YamlProblem[] {
  const problems: YamlProblem[] = [];
  let offset = 0;
  let depth = 0;
  for (const token of new Lexer().lex(text)) {
    depth += depthOf[token] ?? 0;
    const message = depth > DEEPEST ? TOO_DEEP : refusalOf(token);
    if (message !== undefined) problems.push({ offset, message });
    if (problems.length >= MOST_PROBLEMS || message === TOO_DEEP) break;
    if (!isMark(token)) offset += token.length;
  }
  return problems;
}

function refusalOf(token: string): string | undefined {
  const type = CST.tokenType(token);
  if (type === 'tag') return `tags such as ${quoted(token)} are not taken: write the value itself`;
  if (type === 'directive-line' && !/^%YAML[ \t]+1\.2[ \t]*$/.test(token))
    return `the directive ${quoted(token)} is not taken: this is YAML 1.2`;
  return undefined;
}

/** The lexer says where documents and scalars begin in tokens that are not in the text. */
function isMark(token: string): boolean {
  return token === CST.DOCUMENT || token === CST.FLOW_END || token === CST.SCALAR;
}

function quoted(token: string): string {
  return JSON.stringify(token.length > 40 ? `${token.slice(0, 40)}…` : token);
}

function addLines(text: string, lines: LineCounter): void {
  lines.addNewLine(0);
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines.addNewLine(at + 1);
}

/** Ends the reading of a text that has more errors than anybody reads. */
class EnoughErrors extends Error {}

function compose(text: string, lines: LineCounter): { document?: Document; problems: YamlProblem[] } {
  const problems: YamlProblem[] = [];
  const add = (offset: number, message: string) => {
    problems.push({ offset, message: `it is not YAML: ${message}` });
    if (problems.length >= MOST_PROBLEMS) throw new EnoughErrors();
  };
  // Its own check of keys compares each with all before it: 34 kB of keys take two seconds.
  const composer = new Composer({ uniqueKeys: false, resolveKnownTags: false, version: '1.2' });
  // An error object each, with a stack, is what makes storms slow; the warnings are about tags and directives.
  composer['onError'] = (
    source: number | [number, number] | { offset: number },
    _code: string,
    what: string,
  ) => add(typeof source === 'number' ? source : Array.isArray(source) ? source[0] : source.offset, what);
  const documents: Document[] = [];
  try {
    for (const token of new Parser(lines.addNewLine).parse(text)) {
      const deep = tooDeep(token);
      if (deep) return { problems: [{ offset: deep.offset, message: TOO_DEEP }] };
      if (token.type === 'error') add(token.offset, token.message);
      else documents.push(...composer.next(token));
    }
    documents.push(...composer.end(true, text.length));
    const [document, second] = documents;
    if (second) add(second.range?.[0] ?? 0, 'there is more than one document');
    return { ...(document && { document }), problems };
  } catch (cause) {
    if (!(cause instanceof EnoughErrors) && !(cause instanceof RangeError)) throw cause;
    if (cause instanceof RangeError) problems.push({ offset: 0, message: 'it is nested too deep' });
    return { problems };
  }
}

/** The first list or map found that is nested too deep. Indentation opens them, too, and what composes them is recursive. */
function tooDeep(document: CST.Token): CST.Token | undefined {
  const open: { token: CST.Token; depth: number }[] = [{ token: document, depth: 0 }];
  for (let next = open.pop(); next; next = open.pop()) {
    const { token, depth } = next;
    if (depth > DEEPEST) return token;
    const inside = 'items' in token ? token.items.flatMap(({ key, value }) => [key, value]) : [];
    if (token.type === 'document') inside.push(token.value);
    for (const child of inside)
      if (child) open.push({ token: child, depth: 'items' in child ? depth + 1 : depth });
  }
  return undefined;
}

/** Keys that are no plain texts, or there twice: the last would win silently. Numbers that JSON has not. */
function refusedNodes(document: Document): YamlProblem[] {
  const problems: YamlProblem[] = [];
  const open: unknown[] = [document.contents];
  while (open.length > 0 && problems.length < MOST_PROBLEMS) {
    const node = open.pop();
    if (isMap(node)) {
      problems.push(...refusedKeys(node.items.map(({ key }) => key)));
      for (const { value } of node.items) open.push(value);
    } else if (isSeq(node)) for (const item of node.items) open.push(item);
    else if (isScalar(node) && typeof node.value === 'number' && !Number.isFinite(node.value))
      problems.push({ offset: offsetOf(node), message: 'a number is too large, or none' });
  }
  return problems.sort((a, b) => a.offset - b.offset);
}

function refusedKeys(keys: readonly unknown[]): YamlProblem[] {
  const known = new Set<string>();
  const problems: YamlProblem[] = [];
  for (const key of keys) {
    const offset = offsetOf(key);
    if (isAlias(key) || !isScalar(key) || typeof key.value !== 'string')
      problems.push({ offset, message: 'a key must be a text: put it between quotes' });
    else if (known.has(key.value))
      problems.push({ offset, message: `the key ${quoted(key.value)} is there twice` });
    else known.add(key.value);
    if (problems.length >= MOST_PROBLEMS) break;
  }
  return problems;
}

function offsetOf(node: unknown): number {
  return isNode(node) ? (node.range?.[0] ?? 0) : 0;
}
