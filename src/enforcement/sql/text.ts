/** Tests on text, as decisions make them: equality exact, order by UTF-16 code unit, patterns of RE2. */
import type { TestOperator } from '../../policy/condition.ts';
import { bind, type Expression, equalsOneOf, FALSE, type Fragment, raw, sql, test } from './expression.ts';
import { postgresPattern } from './pattern.ts';
import { Untranslatable } from './untranslatable.ts';

const orders: Partial<Record<TestOperator, string>> = { $lt: '<', $lte: '<=', $gt: '>', $gte: '>=' };

/** A comparison with a text, or a match with a pattern. Throws `Untranslatable` for a pattern that PostgreSQL reads otherwise. */
export function compareText(text: Fragment, operator: TestOperator, value: string): Expression {
  if (operator === '$regex') return matchText(text, value);
  if (operator === '$eq') return isOneOfTexts(text, [value]);
  // No text in the database has a NUL: what is below "a\0b" is what is not above "a".
  const [stored = '', ...afterNul] = value.split('\0');
  const order = afterNul.length === 0 ? orders[operator] : operator.startsWith('$l') ? '<=' : '>';
  if (!stored.isWellFormed()) throw new Untranslatable('an order of half a character (a lone surrogate)');
  return /[\u{e000}-\u{10ffff}]/u.test(stored)
    ? test(sql`${codeUnitKey(text)} COLLATE "C" ${raw(order ?? '')} ${bind(keyOf(stored), 'text')}`)
    : test(sql`${text} COLLATE "C" ${raw(order ?? '')} ${bind(stored, 'text')}`);
}

/** Whether it is one of some texts. */
export function isOneOfTexts(text: Fragment, values: readonly string[]): Expression {
  return equalsOneOf(text, 'text', values.filter(isStorable));
}

/** Whether PostgreSQL can hold the text: no NUL, no half of a surrogate pair. */
export function isStorable(value: string): boolean {
  return !value.includes('\0') && value.isWellFormed();
}

function matchText(text: Fragment, pattern: string): Expression {
  const translated = postgresPattern(pattern);
  if (translated === undefined)
    throw new Untranslatable(`the pattern ${pattern}, which PostgreSQL reads otherwise`);
  return translated.isWellFormed() ? test(sql`${text} ~ ${bind(translated, 'text')}`) : FALSE;
}

/**
 * UTF-16 has characters beyond U+FFFF below those from U+E000 on; UTF-8, and so the collation C, above them. Put behind
 * the last character there is, those from U+E000 on come last here, too.
 */
const LAST = '\u{10ffff}';

function codeUnitKey(text: Fragment): Fragment {
  const marked = sql`replace(${text}, ${bind(LAST, 'text')}, ${bind(`${LAST}\u0001`, 'text')})`;
  return sql`regexp_replace(${marked}, ${bind('([\ue000-\uffff])', 'text')}, ${bind(`${LAST}\\1`, 'text')}, 'g')`;
}

function keyOf(value: string): string {
  return value
    .replaceAll(LAST, `${LAST}\u0001`)
    .replaceAll(/[\ue000-\uffff]/gu, (character) => LAST + character);
}
