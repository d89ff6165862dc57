/** The other decision point as the settings say it. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { type Config, ConfigError } from '../../config.ts';
import { type CallOutcome, type RemotePoint, remotePoint } from './decision-point.ts';

/** Undefined where none is configured. Throws ConfigError that names the setting whose file cannot be used. */
export function openRemote(
  { authzenRemote }: Pick<Config, 'authzenRemote'>,
  onCall?: (outcome: CallOutcome) => void,
): RemotePoint | undefined {
  if (!authzenRemote) return undefined;
  const { url, caFile, certFile, keyFile } = authzenRemote;
  requireTls('AUTHZEN_REMOTE_CA', caFile, url);
  requireTls('AUTHZEN_REMOTE_CERT', certFile, url);
  const ca = read('AUTHZEN_REMOTE_CA', caFile);
  const cert = read('AUTHZEN_REMOTE_CERT', certFile);
  const key = read('AUTHZEN_REMOTE_KEY', keyFile);
  if (ca) requireTaken('AUTHZEN_REMOTE_CA', () => new X509Certificate(ca), `${caFile} has no certificate`);
  if (cert && key)
    requireTaken(
      'AUTHZEN_REMOTE_CERT, AUTHZEN_REMOTE_KEY',
      () => createSecureContext({ cert, key }),
      `${certFile} and ${keyFile} are not a certificate and its key`,
    );
  return remotePoint(authzenRemote, onCall);
}

/** Without TLS nobody sees them, and whoever answers is believed. */
function requireTls(setting: string, file: string | undefined, url: string): void {
  if (file !== undefined && !url.startsWith('https:'))
    throw new ConfigError(`${setting}: is for https, and AUTHZEN_REMOTE_URL begins with something else`);
}

function read(setting: string, file: string | undefined): Buffer | undefined {
  try {
    return file === undefined ? undefined : readFileSync(file);
  } catch {
    throw new ConfigError(`${setting}: ${file} is not a file that can be read`);
  }
}

/** Here, and not when it is asked for the first time: everything would be denied then. */
function requireTaken(setting: string, take: () => unknown, wrong: string): void {
  try {
    take();
  } catch (cause) {
    throw new ConfigError(`${setting}: ${wrong} (${cause instanceof Error ? cause.message : String(cause)})`);
  }
}
