/** The certificate that TLS ends with here: read from its files, and read again when they change. */
import { unwatchFile, watchFile } from 'node:fs';
import { type CertificatePair, readPair } from '../config/pem-files.ts';
import type { CertificateFiles } from '../config.ts';
import type { GatewayServer } from './server.ts';

/** How often is looked whether they changed: whoever renews a certificate does so days before it ends. */
const LOOK_EVERY_MS = 10_000;

/** Throws ConfigError, naming the setting, where a file cannot be read or the two are no pair. */
export function readCertificate({ certFile, keyFile }: CertificateFiles): CertificatePair {
  return readPair({ setting: 'TLS_CERT', file: certFile }, { setting: 'TLS_KEY', file: keyFile });
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
