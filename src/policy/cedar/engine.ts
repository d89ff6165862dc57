/** Cedar's own engine, in WebAssembly: loaded when it is first asked for, replaced when it breaks. */
import { createRequire } from 'node:module';

type Cedar = typeof import('@cedar-policy/cedar-wasm/nodejs');

const MODULE = '@cedar-policy/cedar-wasm/nodejs';

let engine: Cedar | undefined;
let instance = 0;

/** The engine broke, as over a policy that is nested too deep; what was asked has no answer. */
export class CedarBrokeError extends Error {
  override name = 'CedarBrokeError';
}

/**
 * Uses the engine, at once: it is loaded synchronously, so that whoever never asks Cedar pays nothing. `instanceNumber`
 * tells whether what was prepared before is still there. Throws CedarBrokeError where it breaks. An engine that ran out
 * of stack never works again, so the next caller gets a new one.
 */
export function withCedar<T>(use: (cedar: Cedar, instanceNumber: number) => T): T {
  engine ??= load();
  try {
    return use(engine, instance);
  } catch (cause) {
    if (!isBreak(cause)) throw cause;
    engine = undefined;
    instance++;
    throw new CedarBrokeError(
      'the engine of Cedar broke: what it was given is nested too deep or too large',
      {
        cause,
      },
    );
  }
}

/** A trap in WebAssembly, or the end of the stack. */
function isBreak(cause: unknown): boolean {
  return cause instanceof RangeError || (cause instanceof Error && cause.name === 'RuntimeError');
}

/** Whether the engine has been loaded in this process. */
export function isCedarLoaded(): boolean {
  return engine !== undefined;
}

/** By a `require` of its own: one that is kept keeps a list of all that it ever loaded, those that broke included. */
function load(): Cedar {
  const require = createRequire(import.meta.url);
  delete require.cache[require.resolve(MODULE)];
  return require(MODULE);
}
