/** An audit event as it is shown: flat, with the details beside the fields that every event has. */
import type { RecordedEvent } from '../kernel/audit_event.ts';

export function auditEvent({ seq: _, details, ...event }: RecordedEvent) {
  return { ...details, ...event };
}
