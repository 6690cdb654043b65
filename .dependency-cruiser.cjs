/**
 * Who may import whom. Arrows point downwards only; type imports count. Each rule's comment names what is allowed, and is printed
 * with the finding. Paths are resolved files, so "no other scheme" is a back reference and not a guess about `../`.
 */

/** Part of src -> the other parts it may import. Itself is always allowed, whatever is not named is not. */
const mayImport = {
  core: [],
  encoding: ['core'],
  crypto: ['encoding', 'core'],
  store: ['core'],
  'limits.ts': ['core', 'crypto', 'encoding'],
  keys: ['core', 'crypto', 'encoding'],
  users: ['core', 'crypto', 'encoding'],
  tokens: ['core', 'crypto', 'encoding'],
  telemetry: ['core', 'crypto', 'encoding'],
  config: ['core'],
  'readiness.ts': ['core'],
  'version.ts': [],
  'authenticate.ts': ['config', 'telemetry', 'core'],
  listener: ['core', 'crypto'],
  envoy: ['authenticate.ts', 'listener', 'config', 'core', 'crypto', 'encoding', 'telemetry'],
  http: ['listener', 'core', 'encoding', 'crypto', 'telemetry'],
  issuer: ['http', 'listener', 'users', 'core', 'crypto', 'encoding', 'config', 'telemetry', 'keys'],
  admin: ['http', 'users', 'core', 'crypto', 'encoding', 'config', 'telemetry', 'keys', 'listener'],
  'taken-over.ts': ['core', 'limits.ts', 'keys', 'users', 'telemetry', 'config'],
  'graph.ts': [
    ...['core', 'crypto', 'keys', 'users', 'tokens', 'schemes', 'telemetry', 'config'],
    ...['taken-over.ts', 'authenticate.ts', 'http', 'issuer', 'admin'],
  ],
  'sidecar.ts': [
    ...[
      'graph.ts',
      'core',
      'crypto',
      'store',
      'telemetry',
      'config',
      'readiness.ts',
      'envoy',
      'http',
      'issuer',
      'admin',
      'listener',
    ],
  ],
  processes: ['sidecar.ts', 'listener', 'config', 'telemetry', 'core', 'crypto', 'keys', 'schemes', 'version.ts'],
  'multi.ts': ['processes', 'sidecar.ts', 'http', 'admin', 'config', 'telemetry', 'core', 'crypto'],
  'explain.ts': ['authenticate.ts', 'graph.ts', 'envoy', 'config', 'core', 'crypto', 'schemes', 'telemetry'],
  'supervisor.ts': [
    ...[
      'multi.ts',
      'processes',
      'sidecar.ts',
      'listener',
      'config',
      'telemetry',
      'core',
      'encoding',
      'keys',
      'schemes',
    ],
    'version.ts',
  ],
  commands: [
    ...[
      'supervisor.ts',
      'explain.ts',
      'client',
      'keys',
      'config',
      'users',
      'crypto',
      'encoding',
      'core',
      'schemes',
      'store',
    ],
    'version.ts',
  ],
  'cli.ts': ['commands', 'processes', 'core'],
};

/** Package -> the one place that may know it. The rest of the source could then do without. */
const packageHome = {
  ioredis: '^src/store/redis',
  'prom-client': '^src/telemetry/',
  'sonic-boom': '^src/telemetry/',
  yaml: '^src/(config|commands)/',
  'hash-wasm': '^src/(encoding|crypto)/',
  '@serenity-kit/opaque': '^src/schemes/opaque-pop/(thread|setup|client)[.]ts$',
};

/** Runs in a browser as well as in Node. */
const browserHalfOfScheme = '^src/schemes/[^/]+/(v[01]/)?(client|message)[a-z-]*[.]ts$';
const browserHalf = `^src/(core|encoding|client)/|${browserHalfOfScheme}`;
const nodeHalfOfClient = '^src/client/node[a-z-]*[.]ts$';

const pathOf = (part) => (part.endsWith('.ts') ? `^src/${part.replace('.', '[.]')}$` : `^src/${part}/`);
const anyOf = (parts) => parts.map(pathOf).join('|');

const partRules = Object.entries(mayImport).map(([part, allowed]) => ({
  name: `${part} may import`,
  comment: `${part} may import: ${allowed.join(', ') || 'nothing of ours'}`,
  severity: 'error',
  from: { path: pathOf(part) },
  to: { path: '^src/', pathNot: anyOf([part, ...allowed]) },
}));

const packageRules = Object.entries(packageHome).map(([name, home]) => ({
  name: `home of ${name}`,
  comment: `${name} is imported below ${home} only`,
  severity: 'error',
  from: { path: '^src/', pathNot: home },
  to: { path: `^node_modules/(${name === 'prom-client' ? 'prom-client|@prometheus-io/client' : name})/` },
}));

module.exports = {
  forbidden: [
    ...partRules,
    ...packageRules,
    {
      name: 'schemes may import',
      comment:
        'a scheme may import: its own folder, core, crypto, encoding, tokens. What else it needs comes in Resources',
      severity: 'error',
      from: { path: '^src/schemes/([^/]+)/' },
      to: { path: '^src/', pathNot: '^src/schemes/$1/|^src/(core|crypto|encoding|tokens)/' },
    },
    {
      name: 'schemes may use packages',
      comment: 'a scheme may use: valibot, lru-cache, and what has its home in it',
      severity: 'error',
      from: { path: '^src/schemes/' },
      to: { path: '^node_modules/', pathNot: '^node_modules/(valibot|lru-cache|@types/node|@serenity-kit/opaque)/' },
    },
    {
      name: 'the list of schemes may import',
      comment: 'schemes/index.ts may import: the index.ts of each scheme, core',
      severity: 'error',
      from: { path: '^src/schemes/index[.]ts$' },
      to: { path: '^src/', pathNot: '^src/schemes/[^/]+/index[.]ts$|^src/core/' },
    },
    {
      name: 'client may import',
      comment:
        'client may import: client*.ts and message*.ts of the schemes, encoding, core; client/node.ts also crypto',
      severity: 'error',
      from: { path: '^src/client/' },
      to: { path: '^src/', pathNot: `${browserHalfOfScheme}|^src/(client|encoding|core)/` },
    },
    {
      name: 'the browser half has no node:',
      comment:
        'core, encoding, client (but client/node*.ts), message*.ts and client*.ts of the schemes import nothing from node:',
      severity: 'error',
      from: { path: browserHalf, pathNot: nodeHalfOfClient },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'the browser half stays among itself',
      comment:
        'what runs in a browser may import: core, encoding, client (but client/node*.ts), message*.ts and client*.ts of its scheme',
      severity: 'error',
      from: { path: browserHalf, pathNot: nodeHalfOfClient },
      to: { path: `^src/`, pathNot: browserHalf },
    },
    {
      name: 'the browser half has no files',
      comment: 'client/node*.ts keep keys and chains in files: nothing in src imports them but commands',
      severity: 'error',
      from: { path: '^src/', pathNot: `^src/commands/|${nodeHalfOfClient}` },
      to: { path: nodeHalfOfClient },
    },
    {
      name: 'verification is synchronous crypto',
      comment:
        'what judges a Check uses no WebCrypto and no key stretching: both answer from a thread pool that anyone can fill',
      severity: 'error',
      from: {
        path: '^src/schemes/[^/]+/(v[01]/)?(verify|message|state)[.]ts$|^src/(envoy|tokens)/|^src/authenticate[.]ts$',
      },
      to: { dependencyTypes: ['core'], path: '^(node:)?crypto$' },
    },
    {
      name: 'one maker of answers',
      comment:
        'the bytes of a CheckResponse are made in envoy/encode-response.ts: nothing else imports check-response.ts',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/envoy/encode-response[.]ts$' },
      to: { path: '^src/envoy/check-response[.]ts$' },
    },
    {
      name: 'one who answers',
      comment: 'what goes back to the proxy is composed in envoy/answer.ts: nothing else imports encode-response.ts',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/envoy/answer[.]ts$' },
      to: { path: '^src/envoy/encode-response[.]ts$' },
    },
    {
      name: 'no URL parser at the front',
      comment: 'src/envoy judges the bytes that Envoy has; a URL parser normalises them',
      severity: 'error',
      from: { path: '^src/envoy/' },
      to: { path: '^(node:)?(url|querystring|punycode)$' },
    },
    {
      name: 'no cycles',
      comment: 'files that import each other can only be understood together',
      severity: 'error',
      from: { path: '^src/' },
      to: { circular: true },
    },
    {
      name: 'src stands alone',
      comment: 'src may import: src, dependencies, node:',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|scripts|tools|bench|deploy)/' },
    },
    {
      name: 'dependencies only',
      comment: 'src may use what package.json lists under dependencies',
      severity: 'error',
      from: { path: '^src/' },
      to: {
        dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown', 'unknown', 'undetermined'],
        pathNot: '^node_modules/@types/',
      },
    },
    {
      name: 'resolvable',
      comment: 'the imported file is there',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    // Without swc not one .ts file is read beside TypeScript 7.
    parser: 'swc',
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'node', 'default'] },
  },
};
