/** How an application behind a proxy may read what it gets. */

/** As the laxest one reads a path: decoded twice, without parameters, controls and regard to case. */
export function laxly(url: string): string {
  let path = url.replace(/[?#].*$/s, '').replace(/;[^/]*/g, '');
  for (let round = 0; round < 2; round++)
    path = path.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what some read as the end
  const plain = path.replaceAll('\\', '/').replace(/\u0000.*$/s, '');
  return new URL(plain.replace(/\/+/g, '/'), 'http://lax').pathname.toLowerCase().replace(/[./ ]+$/, '');
}
