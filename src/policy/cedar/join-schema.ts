/** The schema texts of all parts as one schema. */
import type { CedarPart } from '../policy.ts';

/** The schema of all parts; undefined where none has one. */
export function joinedSchema(parts: readonly CedarPart[]): string | undefined {
  const texts = parts.map(({ schema = '' }) => schema);
  return texts.some((text) => text.trim() !== '') ? texts.join('\n') : undefined;
}
