/** What a JWT says, read without a look at its signature. */

/** Its claims. */
export function claimsOf(jwt = ''): Record<string, unknown> {
  const [, payload = ''] = jwt.split('.');
  return JSON.parse(Buffer.from(payload, 'base64url').toString());
}

/**
 * The text with the claims of each JWT in its place: what is looked for is found in them, and is not by chance in the
 * letters of a signature.
 */
export function withClaims(text: string): string {
  return text.replace(/\bey[\w-]+\.ey[\w-]+\.[\w-]+/g, (jwt) => JSON.stringify(claimsOf(jwt)));
}
