/** Returns an audit event for clients: flat, with the details beside the common fields. */
import type { RecordedEvent } from '../kernel/audit_event.ts';

export function auditEvent({ seq: _, details, ...event }: RecordedEvent) {
  return { ...details, ...event };
}
