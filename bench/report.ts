/** What every measurement prints: when and where it ran, and plain tables. */
import { availableParallelism, cpus, loadavg } from 'node:os';

/** What is measured, and on what; the load tells whether something else ran beside it. */
export function printHeader(title: string): void {
  const model = cpus()[0]?.model.trim() ?? 'unknown';
  const date = new Date().toISOString().slice(0, 10);
  const load = loadavg()[0]?.toFixed(1);
  console.log(title);
  console.log(`${date}, Node ${process.version}, ${availableParallelism()} CPUs (${model}), load ${load}\n`);
}

/** Columns as wide as their widest cell; the first `texts` of them are text, the others numbers. */
export function printTable(
  heads: readonly string[],
  rows: readonly (readonly string[])[],
  { texts = 1 } = {},
): void {
  const widths = heads.map((head, column) =>
    Math.max(head.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) =>
        column < texts ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
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

/** Where the middle eight of ten rounds are, as `12..15`. */
export function spread(values: readonly number[]): string {
  return `${figure(percentile(values, 0.1))}..${figure(percentile(values, 0.9))}`;
}

/** The median of each round's quotient: what made a whole round slow meets both and falls out. */
export function ratio(values: readonly number[], base: readonly number[]): number {
  return median(values.map((value, round) => value / (base[round] ?? Number.NaN)));
}

/** `12,345`, `12.3`, `1.23`, `0.0042`: three digits, or a whole number. */
export function figure(value: number): string {
  return value.toLocaleString(
    'en',
    Math.abs(value) >= 100
      ? { maximumFractionDigits: 0 }
      : { maximumSignificantDigits: 3, minimumSignificantDigits: 3 },
  );
}
