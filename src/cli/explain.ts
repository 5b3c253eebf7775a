/**
 * `npm run explain`: one request in the three isolation modes, side by side. It starts a Kennel of its own
 * with a tenant in each mode, and removes it afterwards.
 */
import { access, constants, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { assertNoMore, UsageError } from './arguments.ts';
import { print, printJson, runAlone } from './command.ts';
import type { Sent } from './explain/client.ts';
import { type Comparison, compare } from './explain/comparison.ts';
import { lessonsOf } from './explain/lessons.ts';
import { OwnKennel } from './explain/own_kennel.ts';
import { comparisonPage } from './explain/page.ts';
import { comparisonSvg } from './explain/svg.ts';
import { comparisonLines } from './explain/terminal.ts';
import { introduction, screens, show } from './explain/tour.ts';

const usage = `Usage: npm run explain [-- METHOD PATH [BODY]] [--broken] [--html FILE] [--svg FILE] [--json]
       npm run explain -- --tour
The default is GET /api/pets/{id}; {id} stands for a pet of the tenant.
--tour walks through seven lessons about tenants, one screen each; with --json, they are in the document.
--html and --svg also write a page and a picture of it.
--broken takes off each layer that stops a foreign reader, one after the other.
Example: npm run explain -- POST /api/pets '{"name": "Rex", "species": "dog"}'`;

const widthWithoutTerminal = 132;

const operatorPath = /^\/api\/admin(?![^/?])/;

/** Some terminals do not know their width, and say 0. */
const leastWidth = 60;

await runAlone({
  usage,
  options: {
    broken: { type: 'boolean' },
    html: { type: 'string' },
    svg: { type: 'string' },
    tour: { type: 'boolean' },
    json: { type: 'boolean' },
  },
  parse: ({ positionals, values }) => {
    const request = requestOf(positionals);
    if (values.tour && positionals.length > 0) {
      throw new UsageError(`Cannot understand "${positionals.join(' ')}" with --tour`);
    }
    return async (config) => {
      await assertWritable([values.html, values.svg]);
      announce(values.tour);
      const { comparison, tour } = await OwnKennel.run(config, async (kennel) => {
        const pairs = await kennel.pairs();
        const compared = await compare(kennel, pairs, { request, ...values });
        const lessons = values.tour ? await lessonsOf(kennel, compared, pairs) : null;
        return { comparison: compared, tour: lessons && screens(lessons) };
      });
      await writeFiles(comparison, values);
      if (values.json) printJson({ ...comparison, ...(tour && { tour }) });
      else if (tour) await show(tour);
      else for (const line of comparisonLines(comparison, width())) print(line);
      return 0;
    };
  },
});

/** A start takes a while, and nothing is printed before its end. */
function announce(tour = false): void {
  if (!process.stderr.isTTY) return;
  const text = 'Starting a Kennel of its own, with two tenants in each isolation mode …';
  process.stderr.write(`${tour ? `${introduction}\n\n` : ''}${text}\n`);
}

function width(): number {
  const { stdout, stderr } = process;
  return Math.max(leastWidth, stdout.columns || stderr.columns || widthWithoutTerminal);
}

/** @throws {Error} before anything is started. */
async function assertWritable(files: readonly (string | undefined)[]): Promise<void> {
  for (const file of files) {
    if (file === undefined) continue;
    await access(dirname(resolve(file)), constants.W_OK).catch(({ code }) => {
      const reason = code === 'ENOENT' ? 'does not exist' : `is not writable (${code})`;
      throw new Error(`Cannot write "${file}": its folder ${reason}`);
    });
  }
}

async function writeFiles(
  comparison: Comparison,
  { html, svg }: { html?: string | undefined; svg?: string | undefined },
): Promise<void> {
  const write = async (file: string, text: string) => {
    await writeFile(file, text);
    process.stderr.write(`Wrote ${file}\n`);
  };
  if (html !== undefined) await write(html, await comparisonPage(comparison, resolve(html)));
  if (svg !== undefined) await write(svg, comparisonSvg(comparison));
}

/** @throws {UsageError} unless the words are a method, a path and a body, or none. */
function requestOf(words: string[]): Sent {
  const [word = 'GET', path = words.length === 0 ? '/api/pets/{id}' : '', body, ...rest] = words;
  const method = word.toUpperCase();
  assertNoMore(rest);
  if (!/^(GET|POST|PUT|PATCH|DELETE)$/.test(method)) {
    throw new UsageError(`Cannot send "${word}": begin with GET, POST, PUT, PATCH or DELETE`);
  }
  if (operatorPath.test(path)) {
    throw new UsageError(`Cannot explain "${path}": only requests of tenants pass the kernel`);
  }
  if (path === '') throw new UsageError(`Cannot send "${word}": give a path, too`);
  if (!path.startsWith('/api/')) {
    throw new UsageError(`Cannot send to "${path}": a path begins with /api/`);
  }
  return { method, path, body: body ?? null };
}
