/** What is read of a request beside its target before a route is looked for: host and method, each in one way. */
import type { IncomingMessage } from 'node:http';
import { AppError, invalidField } from '../../errors.ts';

const HOST = /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])$/;

/** The host without port, in lower case. Throws `invalid_request` where there are several, or one that can be read in two ways. */
export function hostIn(given: string): string {
  const host = given.toLowerCase().replace(/:\d{1,5}$/, '');
  if (!HOST.test(host)) throw invalidField('/headers/Host', 'must be a host name, with a port or without');
  return host;
}

/** The only Host header. */
export function hostOf(req: IncomingMessage): string {
  const [given = '', ...others] = valuesOf(req, 'host');
  if (others.length > 0) throw invalidField('/headers/Host', 'must be there once');
  return hostIn(given);
}

/** Each value of a header that was sent under this name, case aside. */
export function valuesOf({ rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>, name: string): string[] {
  const values: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2)
    if (rawHeaders[at]?.toLowerCase() === name) values.push(rawHeaders[at + 1] ?? '');
  return values;
}

/** What the headers `Connection` name: about this connection alone (RFC 9110, 7.6.1), in lower case. */
export function namedInConnection(req: Pick<IncomingMessage, 'rawHeaders'>): Set<string> {
  const names = valuesOf(req, 'connection').flatMap((value) => value.split(','));
  return new Set(names.map((name) => name.trim().toLowerCase()));
}

/**
 * A header that a decision is made on: throws `invalid_request` where it is there twice, or in a spelling that CGI takes
 * for the same, and where `Connection` names it, so that the upstream would not get what was decided on.
 */
export function headerReader(req: Pick<IncomingMessage, 'rawHeaders'>): (name: string) => string | undefined {
  const named = [...namedInConnection(req)];
  return (name) => {
    const meant: [string, string][] = [];
    for (let at = 0; at < req.rawHeaders.length; at += 2) {
      const sent = req.rawHeaders[at] ?? '';
      if (plainHeader(sent) === name) meant.push([sent, req.rawHeaders[at + 1] ?? '']);
    }
    if (meant.length > 1 || meant.some(([sent]) => sent.toLowerCase() !== name))
      throw invalidField(
        `/headers/${name}`,
        'must be there once and in this spelling: access is decided on it',
      );
    if (meant.length > 0 && named.some((one) => plainHeader(one) === name))
      throw invalidField(`/headers/${name}`, 'must not be named in Connection: access is decided on it');
    return meant[0]?.[1];
  };
}

/** The name as a server behind CGI or WSGI may know it again: whatever is no letter or digit is one and the same. */
export function plainHeader(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-');
}

const overrides = new Set(['x-http-method-override', 'x-http-method', 'x-method-override', 'x-method']);

/** Whether a header, or a parameter of this name, asks some frameworks to take the request for another method. */
export function isMethodOverride(name: string): boolean {
  return overrides.has(plainHeader(name));
}

/** Throws `invalid_request` where a header asks some frameworks to take the request for another method. */
export function refuseMethodOverride({ rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>): void {
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    if (isMethodOverride(name))
      throw new AppError('invalid_request', {
        message: `${name} is not taken: the method is that of the request`,
        errors: [{ pointer: `/headers/${name}`, message: 'must not be there' }],
      });
  }
}
