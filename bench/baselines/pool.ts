/** The driver's own pool, with its usual options. Dates stay text, as in Kennel. */
import postgres from 'postgres';
import { transportOf } from '../driver_transport.ts';

export type Pool = ReturnType<typeof openPool>;

export function openPool(url: string, connections: number) {
  return postgres(url, {
    ...transportOf(url),
    max: connections,
    onnotice: () => {},
    types: {
      date: { to: 1082, from: [1082], serialize: String, parse: (text: string) => text },
    },
  });
}
