/** A process of its own that opens a session, because node reads whom to trust when it starts. */
import { openSession } from '../../src/postgres/connect.ts';
import { laneBounds } from './lane.ts';

const [, , url = ''] = process.argv;
try {
  const { socket } = await openSession(url, laneBounds);
  process.stdout.write('opened');
  socket.destroy();
} catch (error) {
  process.stdout.write(error instanceof Error && 'code' in error ? `${error.code}` : `${error}`);
}
