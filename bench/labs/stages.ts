/** The stages of a request, in the order in which they are removed, one after the other. */
export const stages = [
  { name: 'log line', what: 'a JSON line to the log file' },
  { name: 'metrics', what: 'counter and histogram of the request' },
  { name: 'usage', what: 'requests per tenant and day' },
  { name: 'limiter', what: 'the token bucket' },
  { name: 'lookup', what: "the key's digest, the directory's caches" },
  { name: 'envelope', what: 'role, search_path, seal, row security, reset' },
  { name: 'connection', what: 'shared reads on a bounded, fair pool, in place of the driver' },
  { name: 'database', what: 'the query itself' },
  { name: 'kernel', what: 'dispatch, resolution, routes, validation, record' },
  { name: 'HTTP server', what: 'strict heads, limits, common headers' },
] as const;

/** Whether a stage is among the first `gone` stages, which are removed. */
export function isOff(name: (typeof stages)[number]['name'], gone: number): boolean {
  return stages.findIndex((stage) => stage.name === name) < gone;
}
