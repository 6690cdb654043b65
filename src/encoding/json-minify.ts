/** Takes the blanks out of JSON without parsing and printing it again, which would not give back what was signed. */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** @param text JSON that has been parsed: what is no JSON comes out as something else that is none. */
export function minifyJson(text: string): string {
  let minified = '';
  let from = 0;
  let isString = false;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) isString = !isString;
    else if (isString && unit === BACKSLASH) at++;
    else if (!isString && isBlank(unit)) {
      minified += text.slice(from, at);
      from = at + 1;
    }
  }
  return minified + text.slice(from);
}

/** The four blanks of JSON, no others. */
function isBlank(unit: number): boolean {
  return unit === 0x20 || unit === 0x0a || unit === 0x0d || unit === 0x09;
}
