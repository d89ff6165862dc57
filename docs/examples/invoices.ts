/** A route of your own behind Castellan's rules: an Express app beside the gateway, on the same database. */
import express, { type Express } from 'express';
import { pino } from 'pino';
import { loadConfig } from '../../src/config.ts';
import { maskFields } from '../../src/enforcement/mask.ts';
import { notFound, problemHandler } from '../../src/http/problem.ts';
import { requestLog } from '../../src/http/request-log.ts';
import { makeServices, type Services } from '../../src/services.ts';
import { authenticate } from '../../src/sessions/authenticate.ts';
import { openStorage } from '../../src/storage/open-storage.ts';

const invoices = [
  { id: 'a1', region: 'EU', amount: 250, note: 'Paid late' },
  { id: 'a2', region: 'US', amount: 990, note: null },
];

export function invoiceApp(services: Services): Express {
  const { logger, decisions, requireAccess } = services;
  const app = express();
  app.use(requestLog(logger), authenticate(services));
  app.get(
    '/invoices/:id',
    requireAccess({
      action: 'read',
      resource: 'invoice',
      load: ({ params }) => invoices.find(({ id }) => id === params.id),
    }),
    async ({ access }, res) => {
      const { snapshot, request, resource } = access ?? {};
      if (!snapshot || !request || !resource) throw new Error('requireAccess was left out');
      res.json(await maskFields(decisions, snapshot, request, resource));
    },
  );
  app.use(notFound, problemHandler);
  return app;
}

async function serve(): Promise<void> {
  const config = loadConfig();
  const services = await makeServices(config, await openStorage(config), pino({ level: 'warn' }));
  invoiceApp(services).listen(3000, '127.0.0.1');
}

if (process.argv[1] === import.meta.filename) void serve();
