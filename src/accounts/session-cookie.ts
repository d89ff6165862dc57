/** The session cookie as it is set and cleared. */
import { type SetCookie, stringifySetCookie } from 'cookie';
import { cookieName } from '../sessions/authenticate.ts';

/** A `Set-Cookie` header that keeps the token from scripts and from other sites' changes until it expires. */
export function sessionCookie(token: string, expires: Date, secure: boolean): string {
  return stringifySetCookie({ ...attributes(secure), value: token, expires });
}

/** A `Set-Cookie` header that makes the browser forget the session. */
export function clearedCookie(secure: boolean): string {
  return stringifySetCookie({ ...attributes(secure), value: '', expires: new Date(0) });
}

function attributes(secure: boolean): Omit<SetCookie, 'value'> {
  return { name: cookieName(secure), httpOnly: true, secure, sameSite: 'lax', path: '/' };
}
