/** /openapi.json, and /docs that shows it without fetching from anywhere else. */
import { createHash } from 'node:crypto';
import { Router } from 'express';
import { docsPage } from './docs-page.ts';
import { pageIcon, pageStyle } from './docs-style.ts';
import { refuseOtherMethods } from './endpoint.ts';
import type { OpenApiDocument } from './openapi.ts';

/** The page needs no script and nothing of anybody else. */
const PAGE_POLICY =
  "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Serves the document and its page; both are made once. */
export function docsRouter(document: OpenApiDocument): Router {
  const router = Router();
  const serve = (path: string, type: string, text: string, headers: Record<string, string> = {}) => {
    const etag = `"${createHash('sha256').update(text).digest('base64url')}"`;
    router.get(path, (_req, res) => {
      res
        .set({ ...headers, ETag: etag, 'Cache-Control': 'no-cache' })
        .type(type)
        .send(text);
    });
    refuseOtherMethods(router, path, ['GET']);
  };
  serve('/openapi.json', 'json', JSON.stringify(document));
  serve('/docs', 'html', docsPage(document), { 'Content-Security-Policy': PAGE_POLICY });
  serve('/docs/page.css', 'css', pageStyle);
  serve('/docs/icon.svg', 'svg', pageIcon);
  return router;
}
