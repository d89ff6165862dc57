/** The certificate that TLS ends with here: read from its files, and read again when they change. */
import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { type CertificateFiles, ConfigError } from '../config.ts';
import type { Certificate, GatewayServer } from './server.ts';

/** How often is looked whether they changed: whoever renews a certificate does so days before it ends. */
const LOOK_EVERY_MS = 10_000;

/** Throws ConfigError, naming the setting, where a file cannot be read or the two are no pair. */
export function readCertificate({ certFile, keyFile }: CertificateFiles): Certificate {
  const cert = readPem('TLS_CERT', certFile);
  const key = readPem('TLS_KEY', keyFile);
  try {
    createSecureContext({ cert, key });
  } catch (cause) {
    throw new ConfigError(
      `TLS_CERT: ${certFile} is no certificate (PEM) for the key in ${keyFile}: ${messageOf(cause)}`,
    );
  }
  return { cert, key };
}

export interface KeepOptions {
  /** Told that another one is in use, or why what came is not. */
  onTurn(cause?: unknown): void;
  lookEveryMs?: number;
}

/** Connections that are made from then on get the new one; one that is not usable changes nothing. Ends with the server. */
export function keepCertificate(
  server: GatewayServer,
  files: CertificateFiles,
  { onTurn, lookEveryMs = LOOK_EVERY_MS }: KeepOptions,
): void {
  const look = () => {
    try {
      if ('setSecureContext' in server) server.setSecureContext(readCertificate(files));
      onTurn();
    } catch (cause) {
      onTurn(cause);
    }
  };
  const paths = [files.certFile, files.keyFile];
  for (const path of paths) watchFile(path, { interval: lookEveryMs, persistent: false }, look);
  server.once('close', () => {
    for (const path of paths) unwatchFile(path, look);
  });
}

function readPem(setting: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new ConfigError(`${setting}: ${path} cannot be read: ${messageOf(cause)}`);
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
