/** Certificates and keys in files that settings name: read at the start, which names what it cannot use. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { ConfigError } from '../config.ts';

export interface Named {
  setting: string;
  file: string;
}

/** PEM. */
export interface CertificatePair {
  cert: Buffer;
  key: Buffer;
}

/** The certificates of authorities. Throws ConfigError where the file cannot be read or has none. */
export function readAuthorities({ setting, file }: Named): Buffer {
  const pem = read({ setting, file });
  requireTaken(setting, () => new X509Certificate(pem), `${file} has no certificate`);
  return pem;
}

/** A certificate and its key. Throws ConfigError where one cannot be read, or the two are no pair. */
export function readPair(cert: Named, key: Named): CertificatePair {
  const pair = { cert: read(cert), key: read(key) };
  requireTaken(
    `${cert.setting}, ${key.setting}`,
    () => createSecureContext(pair),
    `${cert.file} and ${key.file} are not a certificate and its key`,
  );
  return pair;
}

function read({ setting, file }: Named): Buffer {
  try {
    return readFileSync(file);
  } catch {
    throw new ConfigError(`${setting}: ${file} is not a file that can be read`);
  }
}

/** Here, and not when it is asked for the first time. */
function requireTaken(setting: string, take: () => unknown, wrong: string): void {
  try {
    take();
  } catch (cause) {
    throw new ConfigError(`${setting}: ${wrong} (${cause instanceof Error ? cause.message : String(cause)})`);
  }
}
