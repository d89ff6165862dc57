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

/** The certificates of authorities. Throws ConfigError where the file cannot be read, has none, or one that is none. */
export function readAuthorities({ setting, file }: Named): Buffer {
  const pem = read({ setting, file });
  const [, ...certificates] = `\n${pem.toString('latin1')}`.split(BEGINNING);
  if (certificates.length === 0) throw new ConfigError(`${setting}: ${file} has no certificate`);
  // TLS takes those before the first that it cannot read, and says nothing of the rest.
  for (const [at, certificate] of certificates.entries())
    requireTaken(
      setting,
      () => new X509Certificate(certificate),
      `certificate ${at + 1} of ${file} cannot be read`,
    );
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

/** Before each line that is meant to begin a certificate, also where it is written so that TLS overlooks it. */
const BEGINNING = /^(?=[^\n]*-BEGIN (?:X509 |TRUSTED )?CERTIFICATE-)/m;

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
