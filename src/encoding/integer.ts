/** Integers as text: one form each, no sign, no leading zero, no exponent. */

const INTEGER = /^(?:0|[1-9][0-9]{0,15})$/;

/** Undefined for anything but `0` to `9007199254740991` (2^53 - 1) in plain decimal digits. */
export function parseInteger(text: string): number | undefined {
  if (!INTEGER.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}
