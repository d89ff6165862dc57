/** Security headers: helmet's, strict, and without those that break a plain connection. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Request, RequestHandler } from 'express';
import helmet from 'helmet';

const directives = {
  defaultSrc: ["'self'"],
  baseUri: ["'none'"],
  formAction: ["'self'"],
  frameAncestors: ["'none'"],
  objectSrc: ["'none'"],
  imgSrc: ["'self'", 'data:'],
};

/** Over TLS browsers are told to stay there (HSTS); told so over plain http, they could not load our own pages. */
export function securityHeaders(isSecure: (req: Request) => boolean): RequestHandler {
  const common = {
    contentSecurityPolicy: { useDefaults: false, directives },
    frameguard: { action: 'deny' as const },
  };
  const overTls = headersOf(helmet(common));
  const plain = headersOf(helmet({ ...common, strictTransportSecurity: false }));
  return (req, res, next) => {
    for (const [name, value] of isSecure(req) ? overTls : plain) res.setHeader(name, value);
    next();
  };
}

/** What helmet sets: the same for every request, so it is asked once. */
function headersOf(middleware: ReturnType<typeof helmet>): [string, string][] {
  const headers: [string, string][] = [];
  const recorder = {
    setHeader: (name: string, value: string) => void headers.push([name, value]),
    removeHeader: () => undefined,
  };
  middleware({} as IncomingMessage, recorder as unknown as ServerResponse, () => undefined);
  return headers;
}
