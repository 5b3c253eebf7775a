/** `X-Tenant-ID: acme-pets`; sent twice, it names twice. */
import type { TenantResolver } from '../../kernel/ports.ts';

export const byHeader: TenantResolver = ({ tenantHeaders }) =>
  tenantHeaders.map((slug) => ({ slug }));
