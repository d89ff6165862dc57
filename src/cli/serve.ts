/** `castellan serve` */
import type { Command } from './command.ts';

export const serveCommand: Command = {
  name: 'serve',
  summary: 'Run the gateway; brings the database up to date first',
  options: [
    {
      name: 'evaluator',
      type: 'string',
      multiple: true,
      meaning: 'a module with an evaluator of your own; may be given several times',
    },
  ],
  // It reads --evaluator itself, so that it can also be started without this command line.
  run: async () => {
    await import('../main.ts');
  },
};
