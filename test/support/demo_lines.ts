/** The lines that a server with the demo tenants prints, and what comes when one is pasted. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Kennel } from './kennel.ts';
import { until } from './until.ts';

const shell = promisify(execFile);

/** One for each way to name a tenant, unless a demo tenant was deleted. */
export async function curlLines({ stderr }: Pick<Kennel, 'stderr'>, count = 3): Promise<string[]> {
  const lines = () =>
    stderr()
      .split('\n')
      .filter((line) => line.startsWith('curl '));
  await until(() => lines().length === count);
  return lines();
}

/** The names of the pets that a line answers with. */
export async function paste(line: string): Promise<string[]> {
  const { stdout } = await shell('sh', ['-c', `${line} --silent --fail`]);
  return JSON.parse(stdout).items.map(({ name }: { name: string }) => name);
}
