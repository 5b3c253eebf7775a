/** `npm run tenants` in a process that tells its parent the peak of its memory when it ends. */
process.on('exit', () => process.send?.(process.resourceUsage().maxRSS));

await import('../../src/cli/tenants.ts');
// The channel to the parent keeps no finished command alive.
process.channel?.unref();
