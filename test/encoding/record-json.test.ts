/** Records of the store that can't be read are damage, told without a word of what stands there. */
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { Fault } from '../../src/core/fault.ts';
import { parseRecordJson } from '../../src/encoding/record-json.ts';

const CANARY = 'canary-7f3a';

function faultOf(text: string): Fault {
  try {
    parseRecordJson(text, 'a thing');
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown;
    throw thrown;
  }
  throw new Error('was read');
}

test('members of an object are read', () => {
  expect(parseRecordJson('{"a":1}', 'a thing')).toEqual({ a: 1 });
});

test.each(['', CANARY, `"${CANARY}"`, `["${CANARY}"]`, 'null', '1', `{"a":"${CANARY}`])(
  'fault protocol, which quotes nothing, of %j',
  (text) => {
    const fault = faultOf(text);
    expect(fault.reason).toBe('protocol');
    expect(`${fault.message} ${String(fault.cause)} ${fault.stack}`).not.toContain(CANARY);
  },
);

test('any text is an object or a fault', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      try {
        return typeof parseRecordJson(text, 'a thing') === 'object';
      } catch (thrown) {
        return thrown instanceof Fault;
      }
    }),
  );
});
