/** The socket of a server whose bytes and their timing the test controls. */
import { Duplex } from 'node:stream';

export class ScriptedSocket extends Duplex {
  /** What the client has written, a buffer for each time. */
  readonly written: Buffer[] = [];

  /** Passes it to the client as one chunk, which has been read on return. */
  say(...messages: readonly Buffer[]): void {
    this.emit('data', Buffer.concat(messages));
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written.push(chunk);
    done();
  }
}
