import { isolationContract } from '../contract/isolation.ts';
import { ownPlaceContract } from '../contract/own_place.ts';

isolationContract('schema');
ownPlaceContract('schema');
