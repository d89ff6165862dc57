/** `castellan serve` */
import type { Command } from './command.ts';

export const serveCommand: Command = {
  name: 'serve',
  summary: 'Run the gateway; brings the database up to date first',
  options: [],
  run: async () => {
    await import('../main.ts');
  },
};
