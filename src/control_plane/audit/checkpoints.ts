/**
 * Witnesses of the audit trail outside the database: where each chain was, line by line in a file.
 * A whole chain that is rewritten, hashes and all, does not fit what was written down here. A
 * new line of a chain is written only while the one before it still stands in the database, so
 * what has been rewritten never gets a witness of its own.
 */
import { appendFile, mkdir, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setImmediate as giveWay } from 'node:timers/promises';
import * as v from 'valibot';
import type { Db } from '../../kernel/ports.ts';
import type { Checkpoint } from './hash_chain.ts';

export type CheckpointOptions = {
  file: string;
  /** The installation whose chains these are: another one may use the same folder. */
  installation: string;
  /** A file that is larger keeps only the newest line of each chain. */
  bytes: number;
  /** Heads of chains that are read at once. */
  chainsAtOnce: number;
  /** Replaces a file as a whole. */
  replace: (file: string, text: string) => Promise<void>;
  nowMs: () => number;
};

const line = v.object({
  time: v.string(),
  installation: v.string(),
  chain: v.pipe(v.string(), v.uuid()),
  position: v.pipe(v.number(), v.safeInteger()),
  hash: v.string(),
});

type Line = v.InferOutput<typeof line>;

type Head = { chain: string; position: number; hash: string };

export class AuditCheckpoints {
  readonly #control: Db;
  readonly #options: CheckpointOptions;
  #saving: Promise<string[]> | null = null;

  constructor(control: Db, options: CheckpointOptions) {
    this.#control = control;
    this.#options = options;
  }

  /** All that were written down and kept, oldest first. */
  async read(): Promise<Checkpoint[]> {
    const { file, installation } = this.#options;
    const lines = await readLines(file);
    return lines.filter((one) => one.installation === installation);
  }

  /**
   * Writes down where the chains are that have moved. Calls that come meanwhile share the outcome.
   *
   * @returns the chains whose last checkpoint no longer stands in the database.
   */
  save(): Promise<string[]> {
    this.#saving ??= this.#save().finally(() => {
      this.#saving = null;
    });
    return this.#saving;
  }

  async #save(): Promise<string[]> {
    const { chainsAtOnce } = this.#options;
    const known = new Map((await this.read()).map((last) => [last.chain, last]));
    const refuted: string[] = [];
    let after: string | null = null;
    do {
      const heads: Head[] = await this.#heads(after);
      const moved = heads.filter(({ chain, position, hash }) => {
        const last = known.get(chain);
        return last?.position !== position || last.hash !== hash;
      });
      const fallen = await this.#fallen(moved.flatMap(({ chain }) => known.get(chain) ?? []));
      await this.#append(moved.filter(({ chain }) => !fallen.has(chain)));
      refuted.push(...fallen);
      after = heads.length === chainsAtOnce ? (heads.at(-1)?.chain ?? null) : null;
    } while (after !== null);
    await this.#compact();
    return refuted;
  }

  #heads(after: string | null): Promise<Head[]> {
    return this.#control<Head>`
      select chain, position, encode(hash, 'hex') as hash
      from control.audit_chains
      where ${after}::uuid is null or chain > ${after}
      order by chain
      limit ${this.#options.chainsAtOnce}`;
  }

  /** Which of these checkpoints have no event any more that bears them out. */
  async #fallen(checkpoints: Checkpoint[]): Promise<Set<string>> {
    if (checkpoints.length === 0) return new Set();
    const rows = await this.#control<{ chain: string }>`
      select chain
      from jsonb_to_recordset(${JSON.stringify(checkpoints)}::text::jsonb)
        as witness (chain uuid, position bigint, hash text)
      where not exists (
        select from control.audit_events as event
        where coalesce(event.tenant_id, '00000000-0000-0000-0000-000000000000') = witness.chain
          and event.position = witness.position
          and encode(event.hash, 'hex') = witness.hash
      )`;
    return new Set(rows.map(({ chain }) => chain));
  }

  /** One write for all lines: those of another process stand before or after them. */
  async #append(heads: Head[]): Promise<void> {
    if (heads.length === 0) return;
    const { file, installation, nowMs } = this.#options;
    const time = new Date(nowMs()).toISOString();
    const lines = heads.map((head) => textOf({ time, installation, ...head }));
    await mkdir(dirname(file), { recursive: true, mode: 0o711 });
    // A process that was killed while it wrote may have left half a line, which must end first.
    await appendFile(file, `\n${lines.join('')}`, { mode: 0o600 });
  }

  /** What another process appends meanwhile is lost; in its next round it finds that and repeats it. */
  async #compact(): Promise<void> {
    const { file, bytes, replace } = this.#options;
    const size = await stat(file).then(
      (found) => found.size,
      () => 0,
    );
    if (size <= bytes) return;
    const lines = await readLines(file);
    const kept = new Map(lines.map((one) => [`${one.installation} ${one.chain}`, one]));
    await replace(file, [...kept.values()].map(textOf).join(''));
  }
}

function textOf(one: Line): string {
  return `${JSON.stringify(one)}\n`;
}

const linesPerTurn = 1_000;

/** Every whole line; what a killed process has left of one is skipped. */
async function readLines(file: string): Promise<Line[]> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  });
  const lines: Line[] = [];
  for (const [index, one] of text.split('\n').entries()) {
    // A process that serves must not stand still for the time that a long file takes.
    if (index % linesPerTurn === linesPerTurn - 1) await giveWay();
    const parsed = v.safeParse(line, jsonOf(one));
    if (parsed.success) lines.push(parsed.output);
  }
  return lines;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
