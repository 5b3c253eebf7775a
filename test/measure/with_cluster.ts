/** A Postgres for one measurement, which ends with it, also on an interrupt. */
import { startTestCluster } from '../support/test_cluster.ts';

/** Does the work on an empty server of its own. @param settings Default: those of the tests. */
export async function withCluster<Result>(
  work: (url: string) => Promise<Result>,
  settings?: Readonly<Record<string, string>>,
): Promise<Result> {
  const cluster = await startTestCluster({ settings });
  const interrupted = () => void cluster.stop().finally(() => process.exit(1));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupted);
  try {
    return await work(cluster.url);
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, interrupted);
    await cluster.stop();
  }
}
