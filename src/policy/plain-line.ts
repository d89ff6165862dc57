/** What others wrote, as part of a line that a terminal or a report shows. */

/** Control characters, what ends a line, what turns its direction, and half of a surrogate pair. */
const unfit = /[\p{Cc}\p{Cs}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

const short: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** The same on one line, written as in JSON where it would move the cursor, hide or reorder what stands there. */
export function plainLine(text: string): string {
  return text.replace(
    unfit,
    (found) => short[found] ?? `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
