/** Lessons as screens of a terminal, which the reader turns like pages. */
import { createInterface } from 'node:readline';
import { print } from '../command.ts';
import { wrapped } from './terminal.ts';

export type Lesson = { title: string; lines: string[]; command: string };

/** In characters. */
export const screenWidth = 78;

/** The reader has this in view while the Kennel starts. */
export const introduction = `Seven lessons about tenants, one screen each, in about a quarter of an hour.
Each ends with commands to try. Open two more terminals in this folder: one for
"make start", which lessons 3, 5, 6 and 7 need, and one for the commands.`;

const keys = 'Enter: next, b and Enter: back, q and Enter: quit ';

const ending = `Next: ARCHITECTURE.md is a map of the code, and says in which order to read it.
"npm run prove" attacks the tenants of each mode in many ways, with each layer
of the defence taken off.`;

const clear = '\u001b[2J\u001b[H';

/** Returns each lesson as a screen, which with the line of the keys has at most 24 lines of 80 characters. */
export function screens(lessons: readonly Lesson[]): string[] {
  return lessons.map(({ title, lines, command }, at) =>
    [
      `${at + 1}/${lessons.length}  ${title}`,
      '─'.repeat(screenWidth),
      ...lines.flatMap((line) => wrapped(line, screenWidth)),
      '',
      'Try:',
      ...command.split('\n').map((line) => `  ${line}`),
    ].join('\n'),
  );
}

/** Shows screen by screen. Without a terminal it prints all of them. */
export async function show(all: readonly string[]): Promise<void> {
  const { stdin, stdout } = process;
  if (stdin.isTTY && stdout.isTTY) await turnPages(all);
  else for (const screen of all) print(`${screen}\n`);
  print(ending);
}

async function turnPages(all: readonly string[]): Promise<void> {
  const { stdin, stdout } = process;
  const terminal = createInterface({ input: stdin });
  const answers = terminal[Symbol.asyncIterator]();
  stdout.write('Enter: first lesson ');
  for (let at = -1; at < all.length; ) {
    const answer = await answers.next();
    // Ctrl-C and Ctrl-D end the tour, too.
    const word = answer.done ? 'q' : answer.value.trim().toLowerCase();
    if (/^q(uit)?$/.test(word)) break;
    if (word === '') at += 1;
    else if (/^b(ack)?$/.test(word)) at = Math.max(0, at - 1);
    if (at >= 0 && at < all.length) stdout.write(`${clear}${all[at]}\n\n${keys}`);
  }
  terminal.close();
}
