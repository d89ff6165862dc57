/** How each proxy asks: where it writes the request that it wants to know about. One reading each; the headers of the others are nothing. */
import type { IncomingMessage } from 'node:http';
import type { ProxyName } from '../../config/forward-auth.ts';
import { invalidField } from '../../errors.ts';
import { valuesOf } from '../gateway/request-facts.ts';

/** The request that a proxy has before it, as the client sent it. */
export interface Original {
  method: string;
  /** With a port or without. */
  host: string;
  /** Path and query, nothing of it decoded. */
  target: string;
  isSecure: boolean;
}

export interface Contract {
  /** Takes no other answers than 200, 401 and 403: all else it would answer to the client as a fault of its own. */
  isOf3: boolean;
  /** Throws `invalid_request`, naming the header, where one is missing or there twice. */
  read(req: IncomingMessage & { originalUrl: string }): Original;
}

export const FORWARD_AUTH = '/forward-auth';

/** `auth_request` of nginx: `X-Original-URL: $scheme://$http_host$request_uri`, `X-Original-Method: $request_method`. */
const nginx: Contract = {
  isOf3: true,
  read: (req) => {
    const url = one(req, 'X-Original-URL');
    // Not by a parser of URLs: it would take dot segments away before they are seen.
    const [, scheme, host, target] = /^(https?):\/\/([^/?#\\@]+)(\/.*)$/s.exec(url) ?? [];
    if (host === undefined || target === undefined)
      throw invalidField('/headers/X-Original-URL', 'must be $scheme://$http_host$request_uri');
    return { method: one(req, 'X-Original-Method'), host, target, isSecure: scheme === 'https' };
  },
};

/** ForwardAuth of Traefik and `forward_auth` of Caddy. */
const forwarded: Contract = {
  isOf3: false,
  read: (req) => ({
    method: one(req, 'X-Forwarded-Method'),
    host: one(req, 'X-Forwarded-Host'),
    target: one(req, 'X-Forwarded-Uri'),
    isSecure: isHttps(req, 'X-Forwarded-Proto'),
  }),
};

/** HAProxy has no contract of its own: what docs/proxies/haproxy.lua sends. */
const haproxy: Contract = {
  isOf3: false,
  read: (req) => ({
    method: one(req, 'X-Original-Method'),
    host: one(req, 'X-Original-Host'),
    target: one(req, 'X-Original-Uri'),
    isSecure: isHttps(req, 'X-Original-Proto'),
  }),
};

/** `ext_authz` of Envoy over HTTP: the request itself without its body, its path behind `path_prefix`. */
const envoy: Contract = {
  isOf3: false,
  read: (req) => ({
    method: req.method ?? '',
    host: one(req, 'Host'),
    target: req.originalUrl.slice(`${FORWARD_AUTH}/envoy`.length) || '/',
    isSecure: isHttps(req, 'X-Forwarded-Proto'),
  }),
};

/** By the last part of the endpoint's path. */
export const contracts: Readonly<Record<ProxyName, Contract>> = {
  nginx,
  traefik: forwarded,
  caddy: forwarded,
  haproxy,
  envoy,
};

function one(req: IncomingMessage, name: string): string {
  const [value, ...others] = valuesOf(req, name.toLowerCase());
  if (value === undefined || others.length > 0)
    throw invalidField(`/headers/${name}`, `must be there once: this endpoint reads ${name}`);
  return value;
}

function isHttps(req: IncomingMessage, name: string): boolean {
  const proto = one(req, name).toLowerCase();
  if (proto === 'https' || proto === 'wss') return true;
  if (proto === 'http' || proto === 'ws') return false;
  throw invalidField(`/headers/${name}`, 'must be http or https');
}
