/** Security headers: helmet's, strict, and without those that break a plain connection. */
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
  const overTls = helmet(common);
  const plain = helmet({ ...common, strictTransportSecurity: false });
  return (req, res, next) => (isSecure(req) ? overTls : plain)(req, res, next);
}
