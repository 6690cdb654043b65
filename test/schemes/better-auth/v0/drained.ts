/** The parts of a request in the header form, to be put together differently, as a thief would. */
interface Sendable {
  readonly method: string;
  readonly target: string;
  readonly to: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body?: Uint8Array;
}

export interface Drained {
  readonly token: string;
  readonly nonce: string;
  readonly sig: string;
  /** The request, some of its parameters exchanged. */
  with(change: Readonly<Record<string, string>>): Sendable;
}

export function drained(request: Sendable): Drained {
  const value = request.headers.find(([name]) => name === 'authorization')?.[1] ?? '';
  const parameter = (name: string) => new RegExp(`${name}="([^"]*)"`).exec(value)?.[1] ?? '';
  return {
    token: parameter('token'),
    nonce: parameter('nonce'),
    sig: parameter('sig'),
    with(change) {
      const rewritten = Object.entries(change).reduce(
        (text, [name, other]) => text.replace(new RegExp(`${name}="[^"]*"`), `${name}="${other}"`),
        value,
      );
      const others = request.headers.filter(([name]) => name !== 'authorization');
      return { ...request, headers: [...others, ['authorization', rewritten]] };
    },
  };
}

/** Code of what the library throws. */
export async function codeOfClient(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'answered',
    (thrown: { code?: string }) => thrown.code ?? thrown,
  );
}
