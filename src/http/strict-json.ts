/** I-JSON (RFC 7493), with which every reader sees the same. */
import { type JSONPath, type JSONVisitor, printParseErrorCode, visit } from 'jsonc-parser';
import { AppError } from '../errors.ts';

const pollutingKeys = new Set(['__proto__', 'constructor', 'prototype']);
/** Far more than any body means; far less than what a recursive reader can bear. */
const DEEPEST = 64;
/** A megabyte of keys that nobody knows would be complained about one by one, for seconds. */
const MOST_KEYS = 1000;

/**
 * Parses JSON. Throws `malformed_json` for what JSON.parse refuses, for a key that is there twice or pollutes
 * prototypes, for texts that Postgres cannot hold, numbers beyond a double, nesting deeper than 64, and more than
 * 1000 keys in one object.
 */
export function parseStrictJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    // Not the message of JSON.parse: it quotes the body, which may hold a password.
    throw malformed(syntaxError(text), cause);
  }
  if (!isPlainlyStrict(value, text)) visit(text, strictReader(text));
  return value;
}

/** Whether nothing is wrong with a text of which this is the value; where it is not plain, the reader finds out what. */
function isPlainlyStrict(value: unknown, text: string): boolean {
  return !mayHoldBroken.test(text) && keysIn(value, 0) === colonsIn(text);
}

/** The keys of all objects in a value; NaN, which nothing is equal to, where something of it is not accepted. */
function keysIn(value: unknown, depth: number): number {
  if (typeof value === 'number') return Number.isFinite(value) ? 0 : Number.NaN;
  if (typeof value !== 'object' || value === null) return 0;
  if (depth === DEEPEST) return Number.NaN;
  let count = 0;
  if (Array.isArray(value)) {
    for (const item of value) count += keysIn(item, depth + 1);
    return count;
  }
  const entries = Object.entries(value);
  if (entries.length > MOST_KEYS) return Number.NaN;
  for (const [key, below] of entries) {
    if (pollutingKeys.has(key)) return Number.NaN;
    count += 1 + keysIn(below, depth + 1);
  }
  return count;
}

const [QUOTE, BACKSLASH, COLON] = [0x22, 0x5c, 0x3a];

/** The colons of a JSON text that are not in its strings: one for each key, also of those that are there twice. */
function colonsIn(text: string): number {
  let count = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) inString = !inString;
    else if (!inString && code === COLON) count++;
    else if (inString && code === BACKSLASH) at++;
  }
  return count;
}

/** JSON.parse keeps the last of two equal keys, other parsers the first: what is checked must be what is meant. */
function strictReader(text: string): JSONVisitor {
  const mayBeBroken = mayHoldBroken.test(text);
  const keysOfArray = new Set<string>();
  const open: Set<string>[] = [];
  const begin = (keys: Set<string>, pathOf: () => JSONPath) => {
    if (open.length >= DEEPEST) throw malformedAt(pathOf(), `it is nested deeper than ${DEEPEST}`);
    open.push(keys);
  };
  const end = () => void open.pop();
  return {
    onObjectBegin: (_offset, _length, _line, _column, pathOf) => begin(new Set(), pathOf),
    onObjectEnd: end,
    onArrayBegin: (_offset, _length, _line, _column, pathOf) => begin(keysOfArray, pathOf),
    onArrayEnd: end,
    onObjectProperty: (key, _offset, _length, _line, _column, pathOf) => {
      const keys = open.at(-1);
      const broken = mayBeBroken && brokenText(key);
      if (broken) throw malformedAt([...pathOf(), key], broken);
      if (pollutingKeys.has(key)) throw malformedAt([...pathOf(), key], `the key "${key}" is not accepted`);
      if (keys?.has(key)) throw malformedAt([...pathOf(), key], `the key "${key}" is there twice`);
      if (keys?.add(key).size === MOST_KEYS + 1)
        throw malformedAt([...pathOf(), key], `an object has more than ${MOST_KEYS} keys`);
    },
    onLiteralValue: (value: unknown, _offset, _length, _line, _column, pathOf) => {
      const broken = mayBeBroken && typeof value === 'string' ? brokenText(value) : undefined;
      if (broken) throw malformedAt(pathOf(), broken);
      if (typeof value === 'number' && !Number.isFinite(value))
        throw malformedAt(pathOf(), 'a number is too large');
    },
  };
}

/** A large text is looked at once: JSON has U+0000 only as an escape, and half of a pair as one or as it is. */
const mayHoldBroken = /\\u|\p{Surrogate}/u;

/** Postgres has no place for U+0000 in a text, nor for half of a surrogate pair in jsonb. */
function brokenText(text: string): string | undefined {
  if (text.includes('\0')) return 'a text contains U+0000';
  return /\p{Surrogate}/u.test(text) ? 'a text contains half of a surrogate pair' : undefined;
}

/** Where the text stops being JSON, without quoting it. */
function syntaxError(text: string): string {
  let found = 'it is not JSON';
  const onError: JSONVisitor['onError'] = (error, _offset, _length, line, column) => {
    throw malformed(
      `it is not JSON: ${printParseErrorCode(error)} at line ${line + 1}, column ${column + 1}`,
    );
  };
  try {
    visit(text, { ...strictReader(text), onError }, { disallowComments: true });
  } catch (cause) {
    if (cause instanceof AppError && cause.publicMessage) found = cause.publicMessage;
  }
  return found;
}

/** `malformed_json`, with what is wrong and never with what was sent. */
export function malformed(message: string, cause?: unknown): AppError {
  return new AppError('malformed_json', { message, cause });
}

/** The same with where it is; a key that cannot be told is not in the pointer either. */
function malformedAt(path: JSONPath, message: string): AppError {
  const pointer = path
    .filter((part) => brokenText(String(part)) === undefined)
    .map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`)
    .join('');
  return new AppError('malformed_json', { message, errors: [{ pointer, message }] });
}
