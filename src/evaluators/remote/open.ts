/** The other decision point as the settings say it. */
import { readAuthorities, readPair } from '../../config/pem-files.ts';
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
  // Here, and not when it is asked for the first time: everything would be denied then.
  if (caFile !== undefined) readAuthorities({ setting: 'AUTHZEN_REMOTE_CA', file: caFile });
  if (certFile !== undefined && keyFile !== undefined)
    readPair(
      { setting: 'AUTHZEN_REMOTE_CERT', file: certFile },
      { setting: 'AUTHZEN_REMOTE_KEY', file: keyFile },
    );
  return remotePoint(authzenRemote, onCall);
}

/** Without TLS nobody sees them, and whoever answers is believed. */
function requireTls(setting: string, file: string | undefined, url: string): void {
  if (file !== undefined && !url.startsWith('https:'))
    throw new ConfigError(`${setting}: is for https, and AUTHZEN_REMOTE_URL begins with something else`);
}
