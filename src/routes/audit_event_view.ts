/** An audit event as it is shown: flat, with the details beside the fields that every event has. */

export type AuditRow = {
  seq: number;
  id: string;
  time: string;
  event: string;
  actor: string;
  tenant: string | null;
  request_id: string | null;
  details: Record<string, string | number | boolean | null>;
};

export function auditEvent({ seq: _, details, ...event }: AuditRow) {
  return { ...details, ...event };
}
