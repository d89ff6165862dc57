/** The paths of Castellan itself: no route takes a request from them. */

export const reservedPrefixes = [
  '/api/v1/auth',
  '/api/v1/me',
  '/api/v1/admin',
  '/api/v1/documents',
  '/api/v1/orders',
  '/access',
  '/.well-known',
  '/forward-auth',
  '/livez',
  '/readyz',
  '/metrics',
  '/openapi.json',
  '/docs',
  '/schemas',
  '/console',
] as const;

const split = reservedPrefixes.map((prefix) => prefix.slice(1).split('/'));

/** The reserved prefix that a path of these segments has, whatever its case; undefined: it has none. */
export function reservedPrefixOf(segments: readonly string[]): string | undefined {
  const at = split.findIndex(
    (prefix) =>
      prefix.length <= segments.length &&
      prefix.every((part, index) => part === foldAscii(segments[index] ?? '')),
  );
  return reservedPrefixes[at];
}

/** A to Z in lower case; what else has a case is left as it is. */
export function foldAscii(text: string): string {
  return /[A-Z]/.test(text) ? text.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) : text;
}
