/** A step of Express, run outside its chain. */
import type { Request, RequestHandler, Response } from 'express';

/** Resolves when the step says that the next may follow. Throws what it throws, at once or later. */
export function runStep(step: RequestHandler, req: Request, res: Response): Promise<void> {
  return new Promise((resolve, reject) => {
    const done: unknown = step(req, res, (cause?: unknown) => (cause ? reject(cause) : resolve()));
    if (done instanceof Promise) done.catch(reject);
  });
}
