/** Texts that are made once and served to everybody: documents, pages, schemas. */
import { createHash } from 'node:crypto';
import { Router } from 'express';
import { refuseOtherMethods } from './endpoint.ts';

/** What is served at a path; `headers` may say how long it may be kept, else it is asked for anew each time. */
export interface PublishedText {
  path: string;
  /** A media type, or a file extension that stands for one. */
  type: string;
  text: string;
  headers?: Record<string, string>;
}

/** Serves each text with an ETag; other methods than GET answer 405. */
export function publishedTexts(texts: readonly PublishedText[]): Router {
  const router = Router();
  for (const { path, type, text, headers = {} } of texts) {
    const etag = `"${createHash('sha256').update(text).digest('base64url')}"`;
    router.get(path, (_req, res) => {
      res
        .set({ 'Cache-Control': 'no-cache', ...headers, ETag: etag })
        .type(type)
        .send(text);
    });
    refuseOtherMethods(router, path, ['GET']);
  }
  return router;
}
