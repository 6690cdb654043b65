/** `countersign explain`: why a kept Check was refused, step by step, by the configuration given. */
import { readFileSync } from 'node:fs';
import { systemClock as clock } from '../core/clock.ts';
import { explain as explainCheck, readCapture, type Explanation } from '../explain.ts';
import { RingError } from '../keys/ring.ts';
import { createMemoryStore } from '../store/memory.ts';
import { CommandError, EXIT, optional, print, printJson, several, type Command } from './command.ts';
import { loadOrRefuse, openProvenStore, SILENT } from './validate.ts';

export const explain: Command = {
  summary: 'say step by step how a kept Check is judged',
  usage: `--config FILE [--against-store] [--at TIME] [--expect VERDICT] [--set path=value]... CAPTURE
  CAPTURE  a CheckRequest as bytes, base64 or JSON; nothing of it is consumed
  --at     when it is judged, RFC 3339; default: when the proxy received the request
  --expect allow, the code of a refusal or the reason of a fault: another verdict exits 6
  Without --against-store nobody is known but the users of directory.file, and nothing is spent.`,
  options: {
    config: { type: 'string' },
    'against-store': { type: 'boolean' },
    at: { type: 'string' },
    expect: { type: 'string' },
    set: { type: 'string', multiple: true },
  },
  words: 1,
  async run(values, [file], env) {
    if (file === undefined) throw new CommandError(EXIT.usage, 'expected a file with a CheckRequest');
    const loaded = loadOrRefuse(optional(values, 'config'), several(values, 'set'), env);
    const message = readMessage(file);
    const atMs = timeOf(optional(values, 'at'));
    const { skew } = loaded.config.clock;
    const store =
      values['against-store'] === true
        ? await openProvenStore(loaded)
        : createMemoryStore({ clock, skewMs: skew, maxEntries: 1, fresh: true, observer: SILENT });
    try {
      const explanation = await explainCheck({ loaded, message, atMs, store, clock }).catch(asCommandError);
      tell(explanation, values['json'] === true);
      const expected = optional(values, 'expect');
      return expected === undefined || expected === explanation.verdict ? EXIT.ok : EXIT.checkFailed;
    } finally {
      await store.close();
    }
  },
};

function tell({ verdict, steps }: Explanation, isJson: boolean): void {
  if (isJson) return printJson({ verdict, steps });
  for (const { step, found } of steps) print(`${step}: ${found}`);
  print(`verdict: ${verdict}`);
}

function readMessage(file: string): Uint8Array {
  try {
    return readCapture(readFileSync(file));
  } catch (cause) {
    const why = Error.isError(cause) && !('code' in cause) ? cause.message : 'expected a readable file';
    throw new CommandError(EXIT.unreadable, `${file}: ${why}`, { cause });
  }
}

function timeOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new CommandError(EXIT.usage, '--at: expected a time such as "2026-01-31T12:00:00Z"');
  return ms;
}

function asCommandError(thrown: unknown): never {
  throw thrown instanceof RingError ? new CommandError(EXIT.unreadable, thrown.message) : thrown;
}
