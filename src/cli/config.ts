/** `castellan config` */
import { loadConfig, reportSettings } from '../config.ts';
import { type Command, jsonOption, printResult } from './command.ts';

export const showConfig: Command = {
  name: 'config',
  summary: 'Show every setting: value, where it comes from, what it means',
  options: [jsonOption],
  run: async ({ json }) => {
    loadConfig();
    const settings = reportSettings();
    const lines = settings.flatMap(({ name, value, source, meaning }) => [
      `${name}=${value}${source === 'environment' ? '   (environment)' : ''}`,
      `    ${meaning}`,
    ]);
    printResult(json, settings, lines);
  },
};
