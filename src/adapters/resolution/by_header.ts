/** `X-Tenant-ID: acme-pets`; sent twice, it names twice. */
import type { Strategy } from '../../kernel/ports.ts';

export const byHeader: Strategy = ({ tenantHeaders }) => tenantHeaders.map((slug) => ({ slug }));
