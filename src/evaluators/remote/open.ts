/** The other decision point as the settings say it. */
import { accessSync, constants } from 'node:fs';
import { type Config, ConfigError } from '../../config.ts';
import { type CallOutcome, type RemotePoint, remotePoint } from './decision-point.ts';

/** Undefined where none is configured. Throws ConfigError that names the setting whose file cannot be used. */
export function openRemote(
  { authzenRemote }: Pick<Config, 'authzenRemote'>,
  onCall?: (outcome: CallOutcome) => void,
): RemotePoint | undefined {
  if (!authzenRemote) return undefined;
  const { caFile, certFile, keyFile } = authzenRemote;
  requireReadable('AUTHZEN_REMOTE_CA', caFile);
  requireReadable('AUTHZEN_REMOTE_CERT', certFile);
  requireReadable('AUTHZEN_REMOTE_KEY', keyFile);
  return remotePoint(authzenRemote, onCall);
}

function requireReadable(setting: string, file: string | undefined): void {
  if (file === undefined) return;
  try {
    accessSync(file, constants.R_OK);
  } catch {
    throw new ConfigError(`${setting}: ${file} is not a file that can be read`);
  }
}
