/** A body of a length that was said, read as it is. */
import type { IncomingMessage } from 'node:http';
import { AppError } from '../errors.ts';

/** Whether a body is not packed, and as long as was said, which is not too long: Node sees to it that it is no longer. */
export function isSentWhole({ headers }: IncomingMessage, limitBytes: number): boolean {
  const { 'content-length': length, 'content-encoding': packed, 'transfer-encoding': coding } = headers;
  return packed === undefined && coding === undefined && Number(length) <= limitBytes;
}

/** Such a body. Throws `invalid_request` where it breaks off, which nobody is left to be told. */
export function wholeBody(req: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const breakOff = () => {
      if (!req.readableEnded) reject(new AppError('invalid_request', { message: 'the body broke off' }));
    };
    if (req.destroyed) return breakOff();
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)));
    // Whatever went wrong; nothing is thrown where nobody listens for the error itself.
    req.on('close', breakOff);
  });
}
