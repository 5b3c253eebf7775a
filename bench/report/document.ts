/** The content of a report, independent of its form: page, summary or terminal. */

/** The first column names the row; the others hold figures. */
export type Table = { columns: readonly string[]; rows: readonly (readonly string[])[] };

export type Bar = { label: string; value: number; low: number; high: number; series: string };

export type Line = { name: string; points: readonly { x: number; y: number }[] };

export type Chart =
  | { kind: 'bars'; title: string; show: (value: number) => string; bars: readonly Bar[] }
  | {
      kind: 'lines';
      title: string;
      xTitle: string;
      show: (value: number) => string;
      lines: readonly Line[];
    };

export type Section = {
  title: string;
  /** Paragraphs. */
  text: readonly string[];
  tables: readonly Table[];
  charts: readonly Chart[];
};

export type Document = { title: string; lead: string; sections: readonly Section[] };

/** Returns a section. Missing parts are empty. */
export function section(title: string, parts: Partial<Omit<Section, 'title'>>): Section {
  return { title, text: [], tables: [], charts: [], ...parts };
}
