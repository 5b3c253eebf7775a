/**
 * The replies that the server must send for one group: one for each message, in their order; after an
 * error only ReadyForQuery. The list is read from the sent bytes themselves, so the two cannot disagree.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
 */
import { types } from './backend_messages.ts';

const requests = {
  bind: 'B'.charCodeAt(0),
  close: 'C'.charCodeAt(0),
  describe: 'D'.charCodeAt(0),
  execute: 'E'.charCodeAt(0),
  parse: 'P'.charCodeAt(0),
  query: 'Q'.charCodeAt(0),
  sync: 'S'.charCodeAt(0),
} as const;

/** Describe has two replies; this stands for the first one, ParameterDescription. */
const describeParameters = -1;

export class ExpectedReplies {
  readonly #requests: number[] = [];
  /** The index of the request whose reply is expected next. */
  #at = 0;
  #hasFailed = false;
  /** Whether a statement of a simple query has completed. */
  #hasCompleted = false;

  /** Adds the replies to complete messages. The last message of a group is a Sync or a simple query. */
  add(sent: Buffer): void {
    for (let at = 0; at < sent.length; at += 1 + sent.readUInt32BE(at + 1)) {
      const request = sent[at] ?? 0;
      if (request === requests.describe) this.#requests.push(describeParameters);
      this.#requests.push(request);
    }
  }

  /** Accepts the next reply. @returns false when it is not the expected one. */
  accept(reply: number): boolean {
    const request = this.#requests[this.#at];
    if (reply === types.readyForQuery) {
      return (
        this.#hasFailed ||
        request === requests.sync ||
        (request === requests.query && this.#hasCompleted)
      );
    }
    if (this.#hasFailed) return false;
    switch (reply) {
      case types.dataRow:
        return request === requests.execute || request === requests.query;
      case types.commandComplete:
      case types.emptyQueryResponse:
        return this.#acceptCompletion(request);
      case types.bindComplete:
        return this.#advanceIf(request === requests.bind);
      case types.parseComplete:
        return this.#advanceIf(request === requests.parse);
      case types.parameterDescription:
        return this.#advanceIf(request === describeParameters);
      case types.rowDescription:
        return request === requests.query || this.#advanceIf(request === requests.describe);
      case types.noData:
        return this.#advanceIf(request === requests.describe);
      case types.closeComplete:
        return this.#advanceIf(request === requests.close);
      case types.errorResponse:
        this.#hasFailed = true;
        return true;
      default:
        return false;
    }
  }

  #acceptCompletion(request: number | undefined): boolean {
    if (request !== requests.query) return this.#advanceIf(request === requests.execute);
    this.#hasCompleted = true;
    return true;
  }

  #advanceIf(isExpected: boolean): boolean {
    if (isExpected) this.#at += 1;
    return isExpected;
  }
}
