/**
 * The replies that the server owes for one group: one for each message of it, in their order; after an
 * error only ReadyForQuery. They are read from the bytes that are sent, so they cannot say otherwise.
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

/** Describe has two replies; this stands for the one that tells of the parameters. */
const describeParameters = -1;

export class ExpectedReplies {
  readonly #requests: number[] = [];
  /** The request whose reply is due. */
  #at = 0;
  #hasFailed = false;
  /** Whether a statement of a simple query has run. */
  #hasRun = false;

  /** Adds the replies to whole messages; the last one of a group is a Sync or a simple query. */
  add(sent: Buffer): void {
    for (let at = 0; at < sent.length; at += 1 + sent.readUInt32BE(at + 1)) {
      const request = sent[at] ?? 0;
      if (request === requests.describe) this.#requests.push(describeParameters);
      this.#requests.push(request);
    }
  }

  /** Takes the next reply. @returns false when it is not the one that is due. */
  take(reply: number): boolean {
    const due = this.#requests[this.#at];
    if (reply === types.readyForQuery) {
      return this.#hasFailed || due === requests.sync || (due === requests.query && this.#hasRun);
    }
    if (this.#hasFailed) return false;
    switch (reply) {
      case types.dataRow:
        return due === requests.execute || due === requests.query;
      case types.commandComplete:
      case types.emptyQueryResponse:
        return this.#takeRun(due);
      case types.bindComplete:
        return this.#pass(due === requests.bind);
      case types.parseComplete:
        return this.#pass(due === requests.parse);
      case types.parameterDescription:
        return this.#pass(due === describeParameters);
      case types.rowDescription:
        return due === requests.query || this.#pass(due === requests.describe);
      case types.noData:
        return this.#pass(due === requests.describe);
      case types.closeComplete:
        return this.#pass(due === requests.close);
      case types.errorResponse:
        this.#hasFailed = true;
        return true;
      default:
        return false;
    }
  }

  #takeRun(due: number | undefined): boolean {
    if (due !== requests.query) return this.#pass(due === requests.execute);
    this.#hasRun = true;
    return true;
  }

  #pass(isDue: boolean): boolean {
    if (isDue) this.#at += 1;
    return isDue;
  }
}
