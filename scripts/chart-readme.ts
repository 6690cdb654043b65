/** Makes the README of the chart: every value with its default and its comment in values.yaml. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMap, isScalar, parseDocument, stringify, type Node, type Pair } from 'yaml';
import { root } from './tool.ts';

const HEAD = `# The countersign chart

Installs countersign as a Deployment of its own, or as a native sidecar in the pods of an application. [docs/kubernetes.md](../../docs/kubernetes.md)
tells how, step by step; \`ci/\` has values for each way. Kubernetes 1.29 or newer.

\`\`\`
helm install countersign helm/countersign --namespace auth --values my-values.yaml
helm test countersign --namespace auth --logs
\`\`\`

Unknown values are refused. This file is generated from \`values.yaml\`.

| value | default | meaning |
|---|---|---|
`;

export function chartReadme(): string {
  const document = parseDocument(readFileSync(join(root, 'helm', 'countersign', 'values.yaml'), 'utf8'));
  return `${HEAD}${rowsOf(document.contents, []).join('\n')}\n`;
}

/** A map of settings is taken apart; one that is a value itself, such as labels or a selector, is shown whole. */
function rowsOf(node: Node | null, path: readonly string[]): string[] {
  if (!isMap(node)) return [];
  return (node.items as Pair<Node, Node | null>[]).flatMap(({ key, value }, index) => {
    const here = [...path, String(isScalar(key) ? key.value : key)];
    // The comment above the first member hangs on the map.
    const comment = (key.commentBefore ?? (index === 0 ? node.commentBefore : undefined) ?? '').trim();
    const isSettings = isMap(value) && value.flow !== true;
    const shown = isSettings ? '' : `\`${stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trim()}\``;
    const row = `| \`${here.join('.')}\` | ${shown} | ${comment.replaceAll(/\n\s*/g, ' ').replaceAll('|', '\\|')} |`;
    return isSettings ? [...(comment === '' ? [] : [row]), ...rowsOf(value, here)] : [row];
  });
}
