/** The style of the page: system fonts, two themes, one column, and two columns for charts. */

export const stylesheet = `:root {
  --paper: #fbfaf7; --card: #ffffff; --ink: #1d2430; --soft: #5b6472; --line: #dcdfe4;
  --bare: #b4b9c2; --untenanted: #7d8694; --textbook: #9a6fb0;
  --shared: #1f6fd6; --schema: #12876b; --database: #cf6a12;
  --good: #12724f; --bad: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #12151b; --card: #1a1f27; --ink: #e7eaf0; --soft: #a0a9b8; --line: #323a46;
    --bare: #596271; --untenanted: #8b95a5; --textbook: #bb92d2;
    --shared: #5ea2f7; --schema: #3fbf9a; --database: #f09a4a;
    --good: #5fd0a3; --bad: #ff8d85;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 62rem; padding: 1.25rem 1rem 4rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word;
}
h1 { font-size: clamp(1.6rem, 5vw, 2.4rem); line-height: 1.15; margin: 1rem 0 0.5rem; }
h2 { font-size: 1.3rem; margin: 0 0 0.5rem; }
header p { color: var(--soft); margin: 0 0 1rem; }
p { max-width: 46rem; }
nav ul, .key { display: flex; flex-wrap: wrap; gap: 0.35rem 1rem; list-style: none; margin: 0; padding: 0; }
nav { font-size: 0.9rem; }
a { color: var(--shared); }
section {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  margin: 1.25rem 0; padding: 1.1rem; scroll-margin-top: 0.5rem;
}
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1.5rem; margin: 1rem 0; }
figure { margin: 0; max-width: 34rem; }
figcaption { font-weight: 600; font-size: 0.95rem; margin-bottom: 0.5rem; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { fill: var(--ink); font: 13px system-ui, sans-serif; }
svg .value { fill: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; }
.grid { stroke: var(--line); fill: none; }
.whisker { stroke: var(--ink); stroke-width: 1.2; fill: none; opacity: 0.75; }
.stroke { fill: none; stroke: currentColor; stroke-width: 2; }
.fill { fill: currentColor; }
.s-bare { color: var(--bare); } .s-untenanted { color: var(--untenanted); }
.s-textbook { color: var(--textbook); } .s-shared { color: var(--shared); }
.s-schema { color: var(--schema); } .s-database { color: var(--database); }
.s-other { color: var(--untenanted); }
.key { font-size: 0.85rem; margin-top: 0.35rem; }
.key i { display: inline-block; width: 0.8em; height: 0.8em; border-radius: 50%; background: currentColor; margin-right: 0.4em; }
.table { overflow-x: auto; margin: 1rem 0 0; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.4rem 0.6rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; }
td { white-space: nowrap; }
th { font-weight: 500; }
th:first-child { text-align: left; padding-left: 0; min-width: 8.5rem; }
small { color: var(--soft); font-size: 0.9em; }
@media (max-width: 40rem) {
  table { font-size: 0.82rem; }
  th, td { padding: 0.35rem 0.4rem; }
  th:first-child { position: sticky; left: 0; background: var(--card); min-width: 6.5rem; max-width: 9rem; }
  small { display: block; }
  svg text { font-size: 15px; } svg .value { font-size: 14px; }
}
thead th { color: var(--soft); font-size: 0.85rem; }
.wordy td { text-align: left; white-space: normal; }
.void { color: var(--bad); text-align: left; white-space: normal; min-width: 14rem; }
.met { color: var(--good); font-weight: 600; }
.missed { color: var(--bad); font-weight: 600; }
`;
