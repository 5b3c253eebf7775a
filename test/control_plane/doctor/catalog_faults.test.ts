/** Faults of our schemas, which a look into their database finds. */
import './faults/functions.ts';
import './faults/grants.ts';
import './faults/tables.ts';
import './faults/triggers.ts';
