import { isolationContract } from '../contract/isolation.ts';

isolationContract('shared');
