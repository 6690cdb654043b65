/**
 * An upstream that tells what reached it: 200 and `{"method","target","headers":[[name,value],...],"body":"<base64>"}`, headers in order.
 * Plain JavaScript without dependencies: the demonstration, the tests and containers run the same file.
 *
 *   node server.mjs [host:port]        default 0.0.0.0:8000; port 0 takes a free one. The address is printed once it listens.
 */
import { createServer } from 'node:http';

const MAX_BODY_BYTES = 32 * 1024 * 1024;

const [host = '0.0.0.0', port = '8000'] = (process.argv[2] ?? '0.0.0.0:8000').split(/:(?=[0-9]+$)/);

const server = createServer(async (request, response) => {
  const chunks = [];
  let length = 0;
  try {
    for await (const chunk of request) {
      length += chunk.length;
      if (length > MAX_BODY_BYTES) return void request.destroy();
      chunks.push(chunk);
    }
  } catch {
    return; // The client left in the middle of its body.
  }
  const headers = [];
  for (let at = 0; at < request.rawHeaders.length; at += 2)
    headers.push([request.rawHeaders[at], request.rawHeaders[at + 1]]);
  const answer = JSON.stringify({
    method: request.method,
    target: request.url,
    headers,
    body: Buffer.concat(chunks).toString('base64'),
  });
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(answer) });
  response.end(request.method === 'HEAD' ? undefined : answer);
});

server.listen(Number(port), host, () => process.stdout.write(`${host}:${server.address().port}\n`));
for (const signal of ['SIGTERM', 'SIGINT'])
  process.on(signal, () => server.close(() => process.exit(0)).closeAllConnections());
