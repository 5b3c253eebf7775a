/**
 * The longest that a tenant's request may take. Each wait on its way has a limit of its own, for the
 * directory, a lane and the statement; when the database hangs they come one after the other, and
 * nobody waits for their sum.
 */
import type { HttpRequest } from './http/request.ts';
import { unavailable } from './kernel/errors.ts';
import type { Reply } from './kernel/ports.ts';

export type AnswerLimit = { limitMs: number; nowMs: () => number };

/**
 * Runs `work`, for at most `limitMs` besides the reading of the body, which has a limit of its own.
 * What is under way then goes on in the background, within its own limits.
 *
 * @throws {Refusal} `unavailable` when the time is over: the work may be done yet, or not.
 */
export async function answerInTime(
  request: HttpRequest,
  { limitMs, nowMs }: AnswerLimit,
  work: (request: HttpRequest) => Promise<Reply>,
): Promise<Reply> {
  let giveUp = () => {};
  const late = new Promise<never>((_resolve, reject) => {
    giveUp = () => reject(unavailable('The database did not answer in time'));
  });
  let startedMs = nowMs();
  let leftMs = limitMs;
  let timer = setTimeout(giveUp, leftMs);
  const body = async () => {
    clearTimeout(timer);
    leftMs -= nowMs() - startedMs;
    try {
      return await request.body();
    } finally {
      startedMs = nowMs();
      timer = setTimeout(giveUp, leftMs);
    }
  };
  try {
    return await Promise.race([work({ ...request, body }), late]);
  } finally {
    clearTimeout(timer);
  }
}
