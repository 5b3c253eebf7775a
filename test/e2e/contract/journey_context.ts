/** The context of a part of the journey: its server, its tenant, and the neighbouring tenant. */
import type { IsolationModeName } from '../../../src/isolation/modes.ts';
import type { Onboarded, Way } from '../../support/client.ts';
import type { Kennel } from '../../support/kennel.ts';

export type JourneyContext = {
  kennel: Kennel;
  isolation: IsolationModeName;
  way: Way;
  /** Its `call` names the tenant in the way of this journey. */
  tenant: Onboarded;
  /** Another tenant in the same mode. */
  neighbour: Onboarded;
};

export const uuidV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

export const timestamp = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d+Z$/;
