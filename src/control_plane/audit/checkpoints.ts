/**
 * Checkpoints of the audit trail outside the database: a file with the end of each chain, one line for
 * each checkpoint. A chain that was rewritten as a whole, including its hashes, does not match them. A
 * chain gets a new checkpoint only while the previous one matches the database, so a rewritten chain
 * never gets one.
 */
import { appendFile, mkdir, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setImmediate as giveWay } from 'node:timers/promises';
import * as v from 'valibot';
import type { Db } from '../../kernel/ports.ts';
import type { Checkpoint } from './hash_chain.ts';

export type CheckpointOptions = {
  file: string;
  /** The installation of these chains, because several may use the same folder. */
  installation: string;
  /** A file larger than this is reduced to the newest line of each chain. */
  bytes: number;
  /** Heads of chains that one statement reads. */
  chainBatchSize: number;
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

  /** All checkpoints in the file, oldest first. */
  async read(): Promise<Checkpoint[]> {
    const { file, installation } = this.#options;
    const lines = await readLines(file);
    return lines.filter((one) => one.installation === installation);
  }

  /**
   * Writes a checkpoint for each chain that has changed. Concurrent calls share one run.
   *
   * @returns the chains whose last checkpoint no longer matches the database.
   */
  save(): Promise<string[]> {
    this.#saving ??= this.#save().finally(() => {
      this.#saving = null;
    });
    return this.#saving;
  }

  async #save(): Promise<string[]> {
    const { chainBatchSize } = this.#options;
    const known = new Map((await this.read()).map((last) => [last.chain, last]));
    const rewritten: string[] = [];
    let after: string | null = null;
    do {
      const heads: Head[] = await this.#heads(after);
      const moved = heads.filter(({ chain, position, hash }) => {
        const last = known.get(chain);
        return last?.position !== position || last.hash !== hash;
      });
      const mismatched = await this.#mismatched(
        moved.flatMap(({ chain }) => known.get(chain) ?? []),
      );
      await this.#append(moved.filter(({ chain }) => !mismatched.has(chain)));
      rewritten.push(...mismatched);
      after = heads.length === chainBatchSize ? (heads.at(-1)?.chain ?? null) : null;
    } while (after !== null);
    await this.#compact();
    return rewritten;
  }

  #heads(after: string | null): Promise<Head[]> {
    return this.#control<Head>`
      select chain, position, encode(hash, 'hex') as hash
      from control.audit_chains
      where ${after}::uuid is null or chain > ${after}
      order by chain
      limit ${this.#options.chainBatchSize}`;
  }

  /** The chains of the checkpoints that match no event. */
  async #mismatched(checkpoints: Checkpoint[]): Promise<Set<string>> {
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

  /** Writes all lines at once, so that those of another process cannot come between them. */
  async #append(heads: Head[]): Promise<void> {
    if (heads.length === 0) return;
    const { file, installation, nowMs } = this.#options;
    const time = new Date(nowMs()).toISOString();
    const lines = heads.map((head) => textOf({ time, installation, ...head }));
    await mkdir(dirname(file), { recursive: true, mode: 0o711 });
    // The line break first: a process that was killed while it wrote may have left half a line.
    await appendFile(file, `\n${lines.join('')}`, { mode: 0o600 });
  }

  /** Lines that another process appends meanwhile are lost; its next round writes them again. */
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

/** Every complete line; the part of a line that a killed process left is skipped. */
async function readLines(file: string): Promise<Line[]> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  });
  const lines: Line[] = [];
  for (const [index, one] of text.split('\n').entries()) {
    // A long file must not block the event loop of a serving process.
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
