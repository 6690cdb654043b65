/**
 * What a deployment must withstand, asked through the operator's own proxy: each probe sends a few requests and says whether it held.
 * They find what no look at a configuration can: whether the proxy really buffers, hands over raw bytes, strips and refuses.
 */
import { CountersignError } from '../../core/client-error.ts';
import { PROBLEM_TYPE } from '../../core/problem.ts';
import { utf8 } from '../../encoding/bytes.ts';
import type { HeaderLine, RawAnswer, RawRequest } from './raw-request.ts';
import type { Site } from './site.ts';

export interface Verdict {
  readonly result: 'pass' | 'fail' | 'not applicable' | "can't tell";
  /** What was seen, or what is missing. */
  readonly detail: string;
  /** Set where a right proof was refused: then the refusal of a wrong one says nothing. */
  readonly refusesAll?: true;
}

export interface Probe {
  readonly id: string;
  readonly asks: string;
  /** It passes when something is refused, which says something only where right proofs are accepted. */
  readonly needsAcceptedProof?: true;
  run(site: Site): Promise<Verdict>;
}

const BODY = utf8('{"probe":"verify-deployment"}');
const FAR_MS = 600_000;
const SPOOFED = 'root-by-verify-deployment';

const pass = (detail: string): Verdict => ({ result: 'pass', detail });
const fail = (detail: string): Verdict => ({ result: 'fail', detail });
export const cantTell: Verdict = { result: "can't tell", detail: 'only where a right proof is accepted, see VD-01' };
const notApplicable = (detail: string): Verdict => ({ result: 'not applicable', detail });

const isOk = ({ status }: RawAnswer) => status >= 200 && status < 300;
const isRefused = ({ status }: RawAnswer) => status >= 400 && status < 500;
/** By countersign, which names the Check. Anybody answers 401 or 404, and if the upstream did the request got there. */
const isDenied = (answer: RawAnswer) =>
  isRefused(answer) && answer.header('content-type') === PROBLEM_TYPE && /"check":"/.test(answer.text);
/** Of one of many at once. */
const isDeniedOrBusy = (answer: RawAnswer) => isDenied(answer) || answer.status === 429 || answer.status === 503;
/** What Envoy puts into answers of an upstream, unless its router suppresses that. */
const UPSTREAM_MARK = 'x-envoy-upstream-service-time';
/** By the proxy itself, which says nothing; or by an upstream that says as little, where marks are suppressed. */
const isDeniedByProxy = (answer: RawAnswer) =>
  isRefused(answer) && answer.text === '' && answer.header(UPSTREAM_MARK) === undefined;
const TOKEN = notApplicable('a token covers no request');

export const probes: readonly Probe[] = [
  {
    id: 'VD-01',
    asks: 'signed GET and POST pass, and the upstream learns who it is',
    async run(site) {
      const answers = [
        await site.send(await site.prove({})),
        await site.send(await site.prove({ method: 'POST', body: BODY })),
      ];
      if (!answers.every(isOk)) return { ...fail(`GET and POST: ${statuses(answers)}`), refusesAll: true };
      if (site.echoPath === undefined)
        return pass(`${statuses(answers)}; no --echo-path, so the upstream was not asked`);
      const echo = await site.send(await site.prove({ target: site.echoPath }));
      const subject = echoed(echo).find(([name]) => name.toLowerCase().endsWith('-subject'))?.[1];
      return subject === undefined ? fail('no identity header at the echo path') : pass(`upstream saw ${subject}`);
    },
  },
  {
    id: 'VD-02',
    asks: 'no credentials and garbage are refused',
    async run(site) {
      const bare = await site.send({ method: 'GET', target: site.target, headers: [] });
      const garbage = await site.send({
        method: 'GET',
        target: site.target,
        headers: [['authorization', 'Countersign garbage=!!']],
      });
      const isRight = [bare, garbage].every(
        (answer) => answer.status === 401 && answer.header('www-authenticate') !== undefined,
      );
      return (isRight ? pass : fail)(`${statuses([bare, garbage])}, 401 with www-authenticate expected`);
    },
  },
  {
    id: 'VD-03',
    asks: 'a proof works once',
    async run(site) {
      if (site.terminal.isToken === true) return TOKEN;
      const one = await site.prove({ method: 'POST', body: BODY });
      const twice = [await site.send(one), await site.send(one)];
      const other = await site.prove({ method: 'POST', body: BODY });
      const copies = await Promise.all(Array.from({ length: 10 }, () => site.send(other)));
      const [first, second] = twice.map(({ status }) => status);
      const others = copies.filter((answer) => !isOk(answer));
      // A refusal of the upstream's own would mean that the copy got there.
      const isRight = twice.some(isOk) && second === 401 && others.length === 9 && others.every(isDeniedOrBusy);
      return (isRight ? pass : fail)(`twice: ${first}, ${second}; 10 copies at once: ${statuses(copies)}`);
    },
  },
  {
    id: 'VD-04',
    needsAcceptedProof: true,
    asks: 'old and future timestamps are refused',
    async run(site) {
      if (site.terminal.hasServerTime === true) return notApplicable("the time in the proof is the server's");
      const verdicts = [await timed(site, -FAR_MS), await timed(site, FAR_MS)];
      const isRight = verdicts.every((verdict) => verdict !== 'accepted');
      return (isRight ? pass : fail)(`10 min old: ${verdicts[0]}; 10 min ahead: ${verdicts[1]}`);
    },
  },
  {
    id: 'VD-05',
    needsAcceptedProof: true,
    asks: 'what is altered after signing is refused',
    async run(site) {
      if (site.terminal.isToken === true) return TOKEN;
      const proven = () => site.prove({ method: 'POST', body: BODY });
      const [path, query] = split(site.target);
      const altered = {
        ...(site.body === 'required' && { body: { ...(await proven()), body: utf8('{"probe":"altered"}') } }),
        method: { ...(await proven()), method: 'PUT' },
        path: { ...(await proven()), target: `${path}${path.endsWith('/') ? '' : '/'}x${query}` },
        query: { ...(await proven()), target: `${path}${query === '' ? '?x=1' : `${query}&x=1`}` },
        host: { ...(await proven()), host: 'altered.invalid' },
      };
      const seen: string[] = [];
      let isRight = true;
      for (const [what, request] of Object.entries(altered)) {
        const answer = await site.send(request);
        seen.push(`${what} ${answer.status}`);
        const mayHaveNoRoute = what === 'path' || what === 'host';
        isRight &&= isDenied(answer) || (mayHaveNoRoute && (await hasNoRoute(site, request, answer)));
      }
      return (isRight ? pass : fail)(`${seen.join(', ')}; each is to be refused`);
    },
  },
  {
    id: 'VD-06',
    needsAcceptedProof: true,
    asks: 'the proxy buffers bodies: none passes under a proof made without one',
    async run(site) {
      if (site.terminal.isToken === true) return TOKEN;
      if (site.body === 'none') return notApplicable('--body none: proofs of this route cover no body');
      const proven = () => site.prove({ method: 'POST' });
      const answers = [
        await site.send({ ...(await proven()), body: BODY }),
        await site.send({ ...(await proven()), body: BODY, isChunked: true }),
      ];
      return (answers.every(isRefused) ? pass : fail)(`with and without content-length: ${statuses(answers)}`);
    },
  },
  {
    id: 'VD-07',
    asks: 'bodies up to the limit pass, longer ones get 413',
    async run(site) {
      if (site.body === 'none') return notApplicable('--body none: bodies are not buffered');
      const seen: number[] = [];
      for (const length of [-1, 0, 1].map((delta) => site.maxBodyBytes + delta)) {
        const body = new Uint8Array(length).fill(0x61);
        seen.push((await site.send(await site.prove({ method: 'POST', body }))).status);
      }
      const [below = 0, at = 0, above = 0] = seen;
      const isRight = below < 300 && at < 300 && above === 413;
      return (isRight ? pass : fail)(`${site.maxBodyBytes} bytes less one, exactly, and one more: ${seen.join(', ')}`);
    },
  },
  {
    id: 'VD-08',
    needsAcceptedProof: true,
    asks: 'bodies are judged as raw bytes',
    async run(site) {
      if (site.terminal.isToken === true) return TOKEN;
      if (site.body === 'none') return notApplicable('--body none: proofs of this route cover no body');
      const request = await site.prove({ method: 'POST', body: Uint8Array.of(0x61, 0x21, 0x62) });
      const answer = await site.send({ ...request, body: Uint8Array.of(0x61, 0xff, 0x62) });
      return (answer.status === 401 ? pass : fail)(`0x21 in the body replaced by 0xff: ${answer.status}, 401 expected`);
    },
  },
  {
    id: 'VD-09',
    needsAcceptedProof: true,
    asks: 'two copies of the credential are refused',
    async run(site) {
      const request = await site.prove({});
      const [credential] = request.headers.filter(([name]) => name.toLowerCase() === 'authorization');
      if (credential === undefined) return notApplicable('the credential is no header');
      const answer = await site.send({ ...request, headers: [...request.headers, credential] });
      return (answer.status === 401 ? pass : fail)(`${answer.status}, 401 expected`);
    },
  },
  {
    id: 'VD-10',
    asks: 'identity headers of a client never reach the upstream',
    async run(site) {
      const { echoPath } = site;
      if (echoPath === undefined) return notApplicable('needs --echo-path');
      return strips(site, async (headers) => {
        const request = await site.prove({ target: echoPath });
        return site.send({ ...request, headers: [...request.headers, ...headers] });
      });
    },
  },
  {
    id: 'VD-11',
    asks: 'other spellings of a protected path are refused too',
    async run(site) {
      const [path] = split(site.target);
      const spellings = [`/${path}`, `${path.replace(/\/$/, '')}/x%2fy`, `/x/..${path}`, `/x/%2e%2e${path}`];
      const answers: RawAnswer[] = [];
      for (const target of spellings) answers.push(await site.send({ method: 'GET', target, headers: [] }));
      const seen = spellings.map((target, index) => `${target} ${answers[index]?.status ?? 0}`).join(', ');
      if (!answers.every((answer) => isDenied(answer) || isDeniedByProxy(answer))) return fail(seen);
      if (answers.every(isDenied) || (await marksUpstreams(site))) return pass(seen);
      return { result: "can't tell", detail: `${seen}; no answer of an upstream is known by ${UPSTREAM_MARK}` };
    },
  },
  {
    id: 'VD-12',
    needsAcceptedProof: true,
    asks: 'what the proxy tells of a request (tier)',
    async run(site) {
      if (site.terminal.isToken === true || site.body === 'none')
        return notApplicable('seen only with a proof that covers a body');
      const binary = await site.send(await site.prove({ method: 'POST', body: Uint8Array.of(0xff, 0x00) }));
      if (!isOk(binary)) return pass(`tier C: bodies come as text (a binary one: ${binary.status})`);
      const request = await site.prove({});
      // A parameter that nobody knows is ignored, unless the proxy can't tell the mark from a byte it could not write.
      const marked = request.headers.map(([name, value]): HeaderLine =>
        name.toLowerCase() === 'authorization' ? [name, `${value}, probe="!"`] : [name, value],
      );
      const answer = await site.send({ ...request, headers: marked });
      return pass(isOk(answer) ? 'tier A: raw headers, raw bodies' : 'tier B: joined headers, raw bodies');
    },
  },
  {
    id: 'VD-13',
    asks: 'every other way in asks for a proof as well',
    async run({ also, send }) {
      if (also.length === 0) return notApplicable('needs --also URL for each other host and port');
      const open: string[] = [];
      for (const url of also) {
        const answer = await send({ method: 'GET', target: `${url.pathname}${url.search}`, headers: [] }, url);
        if (answer.status !== 401 && answer.status !== 403) open.push(`${url.href} ${answer.status}`);
      }
      return open.length === 0 ? pass(`${also.length} asked, each refused`) : fail(open.join(', '));
    },
  },
  {
    id: 'VD-14',
    asks: 'identity headers of a client are stripped where the filter is off',
    async run({ url, openPath, send }) {
      if (openPath === undefined) return notApplicable('needs --open-path, an echo without the filter');
      return strips({ url }, (headers) => send({ method: 'GET', target: openPath, headers }));
    },
  },
  {
    id: 'VD-15',
    asks: 'nothing passes while the store is away',
    async run(site) {
      if (site.untilStoreStopped === undefined)
        return notApplicable('needs --store-drill, and somebody to stop the store');
      // Made before: a store that is away gives no challenges either.
      const requests: RawRequest[] = [];
      for (let count = 0; count < 3; count += 1) requests.push(await site.prove({ method: 'POST', body: BODY }));
      await site.untilStoreStopped();
      const answers: RawAnswer[] = [];
      for (const request of requests) answers.push(await site.send(request));
      const isRight = answers.every(({ status, header }) => status === 503 && header('retry-after') !== undefined);
      return (isRight ? pass : fail)(`${statuses(answers)}, 503 with retry-after expected`);
    },
  },
];

/** @returns what the server made of a proof by a clock that is wrong. */
async function timed(site: Site, aheadMs: number): Promise<string> {
  try {
    const answer = await site.send(await site.prove({}, aheadMs));
    if (isOk(answer)) return 'accepted';
    return codeOf(answer) ?? String(answer.status);
  } catch (thrown) {
    // Schemes that log in first are refused there.
    if (thrown instanceof CountersignError && thrown.status !== undefined) return thrown.code;
    throw thrown;
  }
}

/** Then the proxy refuses without a proof as well, in the same way. Where countersign is asked, only its refusal says that nothing got through. */
async function hasNoRoute({ send }: Site, { method, target, host }: RawRequest, answer: RawAnswer): Promise<boolean> {
  if (!isDeniedByProxy(answer)) return false;
  const bare = await send({ method, target, headers: [], ...(host !== undefined && { host }) });
  return isDeniedByProxy(bare) && bare.status === answer.status;
}

async function marksUpstreams(site: Site): Promise<boolean> {
  const answer = await site.send(await site.prove({}));
  return isOk(answer) && answer.header(UPSTREAM_MARK) !== undefined;
}

/** Sends each spelling of a forged identity, and looks for it in what the upstream received. */
async function strips(
  site: Pick<Site, 'url'>,
  send: (headers: readonly HeaderLine[]) => Promise<RawAnswer>,
): Promise<Verdict> {
  const plain = await send([]);
  if (!isOk(plain)) return fail(`without a forged header: ${plain.status}, an echo expected`);
  for (const name of ['x-auth-subject', 'X-Auth-SUBJECT', 'x_auth_subject']) {
    const answer = await send([[name, SPOOFED]]);
    if (!isOk(answer)) {
      if (isRefused(answer)) continue; // Refused as a whole: nothing reached the upstream.
      return fail(`${name} at ${site.url.host}: ${answer.status}`);
    }
    if (!answer.text.includes('"headers"')) return fail('the answer is no echo of a request');
    if (answer.text.includes(SPOOFED)) return fail(`${name} of a client reached the upstream`);
  }
  return pass('three spellings, none seen upstream');
}

function echoed({ text }: RawAnswer): readonly HeaderLine[] {
  try {
    const { headers } = JSON.parse(text) as { headers?: HeaderLine[] };
    return headers ?? [];
  } catch {
    return [];
  }
}

function codeOf({ text }: RawAnswer): string | undefined {
  return /"code":"([a-z_]+)"/.exec(text)?.[1];
}

function statuses(answers: readonly RawAnswer[]): string {
  return answers.map(({ status }) => status).join(', ');
}

function split(target: string): [path: string, query: string] {
  const at = target.indexOf('?');
  return at === -1 ? [target, ''] : [target.slice(0, at), target.slice(at)];
}
