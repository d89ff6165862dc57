/** What every measurement prints: when and where it ran, and plain tables. */
import { availableParallelism, cpus } from 'node:os';

/** One line that says what is measured, one that says on what. */
export function printHeader(title: string): void {
  const model = cpus()[0]?.model.trim() ?? 'unknown CPU';
  const date = new Date().toISOString().slice(0, 10);
  console.log(`${title}\n${date}, Node ${process.version}, ${availableParallelism()} CPUs (${model})\n`);
}

/** Columns as wide as their widest cell; the first is text, the others are numbers. */
export function printTable(heads: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = heads.map((head, column) =>
    Math.max(head.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd();
  console.log(
    [line(heads), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line), ''].join('\n'),
  );
}

/** The value below which `share` of them are (nearest rank); NaN of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** Lowest and highest round, as `12..15`. */
export function spread(values: readonly number[], show: (value: number) => string): string {
  return `${show(Math.min(...values))}..${show(Math.max(...values))}`;
}

/** `12,345`, `12.3`, `1.23`: three digits or a whole number. */
export function figure(value: number): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
