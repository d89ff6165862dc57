/** How far long work is, on stderr: where somebody looks, or where it takes long enough to wonder. */
/** Until then nobody wonders; opening a database takes a second where little else is slow. */
const SILENT_MS = 2000;

export interface Progress {
  /** The step that begins; a long one is told before it keeps the process busy. */
  begin(step: string, isLong?: boolean): void;
  /** Leaves a terminal as it was. */
  end(): void;
}

/** On a terminal one line that changes; elsewhere a line for each step once it takes long. */
export function showProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  const sinceMs = performance.now();
  return {
    begin: (step, isLong = false) => {
      const elapsedMs = performance.now() - sinceMs;
      if (stream.isTTY) stream.write(`\r\u001b[K${step} …`);
      else if (isLong || elapsedMs > SILENT_MS)
        stream.write(`${(elapsedMs / 1000).toFixed(1)} s: ${step} …\n`);
    },
    end: () => {
      if (stream.isTTY) stream.write('\r\u001b[K');
    },
  };
}
