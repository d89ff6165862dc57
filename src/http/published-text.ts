/** Texts that are made once and served to everybody: documents, pages, schemas. */
import { createHash } from 'node:crypto';
import { Router } from 'express';
import { refuseOtherMethods } from './endpoint.ts';

/** What is served at a path; `headers` may say how long it may be kept, else it is asked for anew each time. */
export interface PublishedText {
  path: string;
  /** A media type, or a file extension that stands for one. */
  type: string;
  /** Makes it when it is first asked for: a start does not wait for what few read. */
  text: () => string;
  headers?: Record<string, string>;
}

/** Serves each text with an ETag; other methods than GET answer 405. */
export function publishedTexts(texts: readonly PublishedText[]): Router {
  const router = Router();
  for (const { path, type, text, headers = {} } of texts) {
    let made: { body: string; etag: string } | undefined;
    router.get(path, (_req, res) => {
      made ??= withETag(text());
      res
        .set({ 'Cache-Control': 'no-cache', ...headers, ETag: made.etag })
        .type(type)
        .send(made.body);
    });
    refuseOtherMethods(router, path, ['GET']);
  }
  return router;
}

function withETag(body: string): { body: string; etag: string } {
  return { body, etag: `"${createHash('sha256').update(body).digest('base64url')}"` };
}
