/** Secrets by name: left out of whatever is written down. */

/** Names that sound like a secret. */
export const secretName = /password|token|secret|hash|authorization|cookie/i;

/** A copy in which every value under a name that sounds like a secret is `[redacted]`. */
export function redact(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(redact);
  if (value instanceof Date || typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [key, secretName.test(key) ? '[redacted]' : redact(entry)]),
  );
}
