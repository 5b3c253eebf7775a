/** Faults of roles, databases, settings and tenants, and of objects outside our schemas. */
import './faults/databases.ts';
import './faults/fences.ts';
import './faults/moves.ts';
import './faults/roles.ts';
import './faults/settings.ts';
import './faults/statements.ts';
import './faults/statistics.ts';
import './faults/stray_grants.ts';
import './faults/versions.ts';
