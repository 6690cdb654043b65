/** Requests that no HTTP library tidies up: the target byte for byte, headers as a list with their case and copies. */
import { request as requestPlain, type IncomingMessage } from 'node:http';
import { request as requestTls } from 'node:https';

export type HeaderLine = readonly [name: string, value: string];

export interface RawRequest {
  readonly method: string;
  /** Path and query, sent as they are. */
  readonly target: string;
  readonly headers: readonly HeaderLine[];
  readonly body?: Uint8Array | undefined;
  /** Without `content-length`. */
  readonly isChunked?: boolean;
  /** Instead of the origin's authority. */
  readonly host?: string;
}

export interface RawAnswer {
  readonly status: number;
  header(name: string): string | undefined;
  readonly text: string;
}

const WAIT_MS = 10_000;
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

/** @throws what kept the answer away: refused, cut, too slow, too long. */
export function sendRaw(
  origin: URL,
  { method, target, headers, body, isChunked, host }: RawRequest,
): Promise<RawAnswer> {
  const framing: HeaderLine[] =
    body === undefined
      ? []
      : [isChunked === true ? ['transfer-encoding', 'chunked'] : ['content-length', String(body.length)]];
  const lines = [['host', host ?? origin.host] as const, ...framing, ...headers];
  return new Promise((resolve, reject) => {
    const open = origin.protocol === 'https:' ? requestTls : requestPlain;
    const call = open(origin, { method, path: target, headers: lines.flat(), agent: false, timeout: WAIT_MS });
    call.on('timeout', () => call.destroy(new Error(`no answer within ${WAIT_MS} ms`)));
    call.on('error', reject);
    call.on('response', (answer) => void readAnswer(answer).then(resolve, reject));
    call.end(body);
  });
}

async function readAnswer(answer: IncomingMessage): Promise<RawAnswer> {
  answer.setEncoding('utf8');
  let text = '';
  for await (const chunk of answer) {
    text += String(chunk);
    if (text.length > MAX_ANSWER_BYTES) throw new Error('an answer over 8 MiB');
  }
  return {
    status: answer.statusCode ?? 0,
    header: (name) => [answer.headers[name]].flat()[0],
    text,
  };
}
