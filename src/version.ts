/** What this is: for `countersign version`, `/admin/v1/status` and `build_info`. */
import { readFileSync } from 'node:fs';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

export const VERSION = version;
/** Set where an image or a package is built. */
export const COMMIT = process.env['COUNTERSIGN_COMMIT'] ?? 'unknown';
