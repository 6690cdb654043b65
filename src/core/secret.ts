/**
 * Wraps a value that must never be printed: logs, errors and JSON show `[redacted]`.
 * `reveal()` is for `crypto/` and for the line that writes a wire message.
 */
export class Secret<T> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  reveal(): T {
    return this.#value;
  }

  toString(): string {
    return '[redacted]';
  }

  toJSON(): string {
    return '[redacted]';
  }

  /** What `node:util` `inspect` prints. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[redacted]';
  }
}
