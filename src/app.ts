/** The whole URL space on one screen. */
import type { RequestListener } from 'node:http';
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import { accountEndpoints } from './accounts/endpoints.ts';
import { adminEndpoints } from './admin/endpoints.ts';
import { authzenEndpoints } from './authzen/endpoints.ts';
import { echoRequestId } from './authzen/request-id.ts';
import { demoEndpoints } from './demo/endpoints.ts';
import { forwardAuthRouter } from './enforcement/forward-auth/router.ts';
import { gatewayHandler } from './enforcement/gateway/handler.ts';
import { ownOrRouted } from './enforcement/gateway/own-or-routed.ts';
import { openWebSocket } from './enforcement/gateway/upgrades.ts';
import { beforeExpress, stepsOnly, type UpgradeListener, upgradeListener } from './http/direct.ts';
import { docsRouter } from './http/docs.ts';
import { mountEndpoints } from './http/endpoint.ts';
import { refuseOddFraming } from './http/framing.ts';
import { type MadeForApp, madeForApp } from './http/made-for-app.ts';
import { openApiDocument } from './http/openapi.ts';
import { operationsRouter, timeRequests } from './http/operations.ts';
import { notFound, problemHandler } from './http/problem.ts';
import { publishedTexts } from './http/published-text.ts';
import { requestLog } from './http/request-log.ts';
import { securityHeaders } from './http/security-headers.ts';
import { publishedPolicySchema } from './policy/policy-json-schema.ts';
import type { Services } from './services.ts';
import { authenticate } from './sessions/authenticate.ts';
import { signingEndpoints } from './signing/endpoints.ts';

export interface Handlers {
  request: RequestListener;
  upgrade: UpgradeListener;
  /** As what requests and answers should come. */
  made: MadeForApp;
}

/** What a server calls: decisions for others at once, routes to their upstreams, all else by Express. */
export function makeHandlers(services: Services): Handlers {
  const oneFraming = refuseOddFraming();
  const app = makeApp(services, oneFraming);
  const made = madeForApp(app);
  const { logger, metrics, live, gateway, upgrades, allowedOrigins, isSecure } = services;
  const log = requestLog(logger);
  const own = beforeExpress(app, {
    endpoints: authzenEndpoints(services),
    steps: [...firstSteps(services, oneFraming), echoRequestId, identify(services)],
    mounting: services.mounting,
    onError: problemHandler,
  });
  const passing = [log, timeRequests(metrics), oneFraming, identify(services), gatewayHandler(gateway)];
  // An upstream's answer has its own; what the gateway says itself has ours.
  const secured = securityHeaders(isSecure);
  const ownProblem: ErrorRequestHandler = (thrown, req, res, next) =>
    secured(req, res, () => problemHandler(thrown, req, res, next));
  const webSockets = { ...gateway, identify: identify(services), allowedOrigins };
  return {
    made,
    request: ownOrRouted(live, own, stepsOnly(app, passing, ownProblem)),
    upgrade: upgradeListener(
      app,
      [log, timeRequests(metrics), oneFraming],
      (asked) => openWebSocket(webSockets, upgrades, asked),
      problemHandler,
    ),
  };
}

/** Express with everything on it. */
export function makeApp(services: Services, oneFraming = refuseOddFraming()): Express {
  const { config } = services;
  const endpoints = [
    ...accountEndpoints(services), //              /api/v1/auth, /api/v1/me
    ...adminEndpoints(services), //                /api/v1/admin
    ...authzenEndpoints(services), //              /access/v1, /.well-known/authzen-configuration
    ...signingEndpoints(services), //              /.well-known/jwks.json
    ...(config.demo ? demoEndpoints(services) : []), // /api/v1/documents, /api/v1/orders
  ];
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('query parser', 'simple');
  app.set('case sensitive routing', true);
  app.set('trust proxy', config.trustedProxies.length > 0 ? config.trustedProxies : false);

  app.use(...firstSteps(services, oneFraming));
  app.use(operationsRouter(services)); //          /livez /readyz /metrics
  app.use(docsRouter(() => openApiDocument(endpoints))); // /openapi.json /docs
  app.use(publishedTexts([publishedPolicySchema()])); // /schemas/policy.json
  app.use(forwardAuthRouter({ ...services, ...services.gateway }, config.forwardAuth)); // /forward-auth
  app.use('/access/v1', echoRequestId);
  app.use(identify(services));
  mountEndpoints(app, endpoints, services.mounting);
  app.use(notFound, problemHandler);
  return app;
}

function firstSteps({ logger, metrics, isSecure }: Services, oneFraming: RequestHandler): RequestHandler[] {
  return [requestLog(logger), timeRequests(metrics), securityHeaders(isSecure), oneFraming];
}

function identify({ sessions, apiKeys, issuers, live, allowedOrigins, isSecure }: Services): RequestHandler {
  return authenticate({ sessions, apiKeys, issuers, live, allowedOrigins, isSecure });
}
