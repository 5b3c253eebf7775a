/**
 * `npm run explain`: one request in the three isolation modes, side by side. It starts a Kennel of its own
 * with a tenant in each mode, and removes it afterwards.
 */
import { assertNoMore, UsageError } from './arguments.ts';
import { print, printJson, runAlone } from './command.ts';
import type { Sent } from './explain/client.ts';
import { compare } from './explain/comparison.ts';
import { OwnKennel } from './explain/own_kennel.ts';
import { comparisonLines } from './explain/terminal.ts';

const usage = `Usage: npm run explain [-- METHOD PATH [BODY]] [--broken] [--json]
The default is GET /api/pets/{id}; {id} stands for a pet of the tenant.
--broken takes off each layer that stops a foreign reader, one after the other.
Example: npm run explain -- POST /api/pets '{"name": "Rex", "species": "dog"}'`;

const widthWithoutTerminal = 132;

await runAlone({
  usage,
  options: { broken: { type: 'boolean' }, json: { type: 'boolean' } },
  parse: ({ positionals, values }) => {
    const request = requestOf(positionals);
    return (config) =>
      OwnKennel.run(config, async (kennel) => {
        const comparison = await compare(kennel, request, values);
        if (values.json) printJson(comparison);
        else {
          const width = process.stdout.columns ?? widthWithoutTerminal;
          for (const line of comparisonLines(comparison, width)) print(line);
        }
        return 0;
      });
  },
});

/** @throws {UsageError} unless the words are a method, a path and a body. */
function requestOf([method = 'GET', path = '/api/pets/{id}', body, ...rest]: string[]): Sent {
  assertNoMore(rest);
  if (!/^(GET|POST|PUT|PATCH|DELETE)$/.test(method)) {
    throw new UsageError(`Cannot send "${method}": use GET, POST, PUT, PATCH or DELETE`);
  }
  if (!path.startsWith('/api/')) {
    throw new UsageError(`Cannot send to "${path}": a path begins with /api/`);
  }
  return { method, path, body: body ?? null };
}
