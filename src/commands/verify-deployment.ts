/** `countersign verify-deployment`: asks a running deployment, through its own proxy, whether it keeps what it promises. */
import process from 'node:process';
import { createInterface } from 'node:readline/promises';
import { CommandError, EXIT, httpUrl, optional, print, printJson, several, type Command } from './command.ts';
import { cantTell, probes, type Verdict } from './deployment/probes.ts';
import { openSite } from './deployment/site.ts';
import { bodyCoverOf, judged, SIGNER_OPTIONS, signerOf, SIGNERS_USAGE, terminalOf } from './signers.ts';

const MAX_BODY_BYTES = 1_048_576;

export const verifyDeployment: Command = {
  summary: 'probe a running deployment through its own proxy',
  usage: `--scheme S OPTIONS-OF-S [--issuer URL] [--body required|none] [--echo-path P] [--open-path P] [--also URL]...
       [--max-body BYTES] [--store-drill] URL${SIGNERS_USAGE}`,
  options: {
    ...SIGNER_OPTIONS,
    'echo-path': { type: 'string' },
    'open-path': { type: 'string' },
    also: { type: 'string', multiple: true },
    'max-body': { type: 'string' },
    'store-drill': { type: 'boolean' },
  },
  words: 1,
  async run(values, [address]) {
    if (address === undefined) throw new CommandError(EXIT.usage, 'expected the URL of a protected route');
    const issuer = optional(values, 'issuer');
    const isJson = values['json'] === true;
    const site = await openSite({
      url: httpUrl(address, 'URL'),
      issuerUrl: issuer === undefined ? undefined : httpUrl(issuer, '--issuer'),
      body: bodyCoverOf(values),
      terminal: terminalOf(values),
      newSigner: () => judged(() => signerOf(values)),
      echoPath: pathOption(optional(values, 'echo-path'), '--echo-path'),
      openPath: pathOption(optional(values, 'open-path'), '--open-path'),
      also: several(values, 'also').map((url) => httpUrl(url, '--also')),
      maxBodyBytes: bytesOption(optional(values, 'max-body')),
      untilStoreStopped: values['store-drill'] === true ? untilEnter : undefined,
    });
    const rows: (Pick<Verdict, 'result' | 'detail'> & { id: string; asks: string })[] = [];
    let acceptsProofs = true;
    for (const { id, asks, needsAcceptedProof, run } of probes) {
      const seen = await judged(() => run(site));
      if (seen.refusesAll === true) acceptsProofs = false;
      const isVain = needsAcceptedProof === true && !acceptsProofs && seen.result === 'pass';
      const { result, detail } = isVain ? cantTell : seen;
      const row = { id, asks, result, detail };
      rows.push(row);
      if (!isJson) print(`${row.result.padEnd(14)} ${id} ${asks}: ${row.detail}`);
    }
    const failed = rows.filter(({ result }) => result === 'fail').length;
    if (isJson) printJson({ passed: failed === 0, probes: rows });
    else print(failed === 0 ? 'every probe that applies passed' : `${failed} of ${rows.length} probes failed`);
    return failed === 0 ? EXIT.ok : EXIT.checkFailed;
  },
};

function pathOption(path: string | undefined, name: string): string | undefined {
  if (path === undefined || path.startsWith('/')) return path;
  throw new CommandError(EXIT.usage, `${name}: expected a path that begins with "/", got "${path}"`);
}

function bytesOption(text: string | undefined): number {
  if (text === undefined) return MAX_BODY_BYTES;
  if (/^[1-9][0-9]{0,8}$/.test(text)) return Number(text);
  throw new CommandError(EXIT.usage, `--max-body: expected a number of bytes, got "${text}"`);
}

async function untilEnter(): Promise<void> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    await terminal.question('Stop the store now (its process, or the network to it), then press Enter: ');
  } finally {
    terminal.close();
  }
}
