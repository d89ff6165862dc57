/** /openapi.json, and /docs that shows it without fetching from anywhere else. */
import type { Router } from 'express';
import { docsPage } from './docs-page.ts';
import { pageIcon, pageStyle } from './docs-style.ts';
import type { OpenApiDocument } from './openapi.ts';
import { publishedTexts } from './published-text.ts';

/** The page needs no script and nothing of anybody else. */
const PAGE_POLICY =
  "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Serves the document and its page; each is made once. */
export function docsRouter(describe: () => OpenApiDocument): Router {
  return publishedTexts([
    { path: '/openapi.json', type: 'json', text: () => JSON.stringify(describe()) },
    {
      path: '/docs',
      type: 'html',
      text: () => docsPage(describe()),
      headers: { 'Content-Security-Policy': PAGE_POLICY },
    },
    { path: '/docs/page.css', type: 'css', text: () => pageStyle },
    { path: '/docs/icon.svg', type: 'svg', text: () => pageIcon },
  ]);
}
