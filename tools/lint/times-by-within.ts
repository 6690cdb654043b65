/**
 * A lint rule: times are compared by `within` alone (core/clock.ts), because `<` and `>` written by hand let a NaN through on one side.
 * It knows times by their names, which carry their unit: `...Ms`, `...Seconds`, or the short names of claims. A comparison of two
 * durations is caught too; where that is meant, a disabling comment with the reason is the answer.
 */
interface Node {
  readonly type: string;
  readonly operator?: string;
  readonly name?: string;
  readonly value?: unknown;
  readonly left?: Node;
  readonly right?: Node;
  readonly argument?: Node;
  readonly expression?: Node;
  readonly callee?: Node;
  readonly property?: Node;
}

interface Context {
  report(finding: { node: Node; message: string }): void;
}

const timesByWithin = {
  create: (context: Context) => ({
    BinaryExpression(node: Node) {
      if (!['<', '<=', '>', '>='].includes(node.operator ?? '')) return;
      const name = timeIn(node.left) ?? timeIn(node.right);
      if (name === undefined) return;
      const message = `"${name}" is a time: compare it by within() of core/clock.ts, which is false for NaN`;
      context.report({ node, message });
    },
  }),
};

/** The first name of a time in an operand: an identifier, the last part of a member access or call, either side of a sum. */
function timeIn(node: Node | undefined): string | undefined {
  switch (node?.type) {
    case 'Identifier':
      return isTimeName(node.name ?? '') ? node.name : undefined;
    case 'Literal':
      return isTimeName(String(node.value)) && typeof node.value === 'string' ? node.value : undefined;
    case 'MemberExpression':
      return timeIn(node.property);
    case 'CallExpression':
      return timeIn(node.callee);
    case 'BinaryExpression':
      return timeIn(node.left) ?? timeIn(node.right);
    case 'UnaryExpression':
    case 'AwaitExpression':
      return timeIn(node.argument);
    case 'ChainExpression':
    case 'ParenthesizedExpression':
    case 'TSNonNullExpression':
    case 'TSAsExpression':
      return timeIn(node.expression);
    default:
      return undefined;
  }
}

function isTimeName(name: string): boolean {
  return /(?:Ms|Seconds|_ms|_seconds)$|^(?:ms|seconds|now|ts|iat|exp|nbf)$/.test(name);
}

export default { meta: { name: 'countersign' }, rules: { 'times-by-within': timesByWithin } };
