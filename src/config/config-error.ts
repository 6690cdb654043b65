/** What is wrong with a configuration: everything at once, each with its place. Values that may hold a secret are never shown. */

/** Where a value stands: line of a file, an environment variable, or an option of the command line. */
export interface Place {
  readonly source: string;
  /** Null outside files. */
  readonly line: number | null;
}

export interface ConfigIssue extends Place {
  /** As in the file, `routes.api.publicOrigins[0]`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
}

export type Path = readonly (string | number)[];

const MAX_ISSUES = 100;

export class ConfigError extends Error {
  readonly issues: readonly ConfigIssue[];

  constructor(issues: readonly ConfigIssue[]) {
    const shown = inOrder(issues).slice(0, MAX_ISSUES);
    const more = issues.length - shown.length;
    super([...shown.map(formatIssue), ...(more > 0 ? [`and ${more} more`] : [])].join('\n'));
    this.name = 'ConfigError';
    this.issues = shown;
  }
}

/** `config.yaml:14 routes.api.sceme: unknown key, did you mean "schemes"?` */
export function formatIssue({ source, line, path, message }: ConfigIssue): string {
  const place = line === null ? source : `${source}:${line}`;
  return path === '' ? `${place}: ${message}` : `${place} ${path}: ${message}`;
}

export function formatPath(path: Path): string {
  let text = '';
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`;
    else text += (text === '' ? '' : '.') + (/^[A-Za-z0-9_-]{1,64}$/.test(key) ? key : quote(key));
  }
  return text;
}

/** JSON, cut after 60 characters, ASCII only: what stands in a file must not steer the terminal that shows the error. */
export function quote(text: string): string {
  const cut = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  return JSON.stringify(cut).replaceAll(
    /[^\x20-\x7e…]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

function inOrder(issues: readonly ConfigIssue[]): ConfigIssue[] {
  return issues.toSorted((a, b) => a.source.localeCompare(b.source) || (a.line ?? 0) - (b.line ?? 0));
}
