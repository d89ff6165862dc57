/** The hash of the sources of the build that is there, if there is one. */
export function builtFrom(): string | undefined;
/** The hash of the sources as they are. */
export function hashSources(): string;
export const STAMP: string;
