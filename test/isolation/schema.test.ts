import { isolationContract } from '../contract/isolation.ts';
import { ownPlacementContract } from '../contract/own_placement.ts';

isolationContract('schema');
ownPlacementContract('schema');
