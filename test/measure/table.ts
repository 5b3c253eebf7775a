/** Figures in columns, on stdout. */

export type Cell = string | number;

/** Prints rows below a head; numbers are right-aligned. */
export function printTable(head: readonly string[], rows: readonly (readonly Cell[])[]): void {
  const all = [head, ...rows];
  const widths = head.map((_, at) => Math.max(...all.map((row) => String(row[at] ?? '').length)));
  const lines = all.map((row) =>
    row
      .map((cell, at) => pad(cell, widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  print(`${lines.join('\n')}\n`);
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function pad(cell: Cell, width: number): string {
  return typeof cell === 'number' ? String(cell).padStart(width) : cell.padEnd(width);
}
