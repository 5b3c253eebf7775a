/** `X-Tenant-ID: acme-pets`. Each such header is a claim. */
import type { TenantResolver } from '../../kernel/ports.ts';

export const byHeader: TenantResolver = ({ tenantHeaders }) =>
  tenantHeaders.map((slug) => ({ slug, by: 'header' }));
