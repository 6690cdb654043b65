/** What an operator may say of a user, the same in the store and in `directory.file`: what is larger would fit into no header. */
import * as v from 'valibot';

const MAX_BYTES = 2048;
/** A scheme may add members of its own under this name, so no user has it. */
const RESERVED = 'auth';

export const attributesSchema = v.pipe(
  v.custom<Record<string, unknown>>((value) => !Array.isArray(value), 'attributes as an object'), // A list has names too: its indexes.
  v.record(
    v.pipe(v.string(), v.minLength(1), v.maxLength(128)),
    v.union([v.string(), v.pipe(v.number(), v.finite()), v.boolean(), v.array(v.string())]),
  ),
  v.check((value) => !Object.hasOwn(value, RESERVED), `no attribute named ${RESERVED}`),
  v.check(
    (value) => new TextEncoder().encode(JSON.stringify(value)).length <= MAX_BYTES,
    'attributes of at most 2 KiB',
  ),
);
