/**
 * The connections to the primaries of a Cluster. The client library finds the primary of each lane and follows redirects; dialling the
 * Cluster as a whole and reading secrets anew are the same as for one server (`redis-link.ts`).
 */
import { Cluster, type Redis } from 'ioredis';
import { StoreFault } from '../core/fault.ts';
import { storeFault } from './redis-errors.ts';
import { type Arguments, createDialer, ended, type LinkOptions, type RedisLink, sendTo } from './redis-link.ts';
import { addresses, clusterOptions, freshOptions } from './redis-options.ts';

export function createRedisClusterLink({ settings, socketTimeoutMs, readSecret, events }: LinkOptions): RedisLink {
  const seeds = addresses(settings).map(({ host, port }) => ({ host, port }));
  const client = new Cluster(seeds, clusterOptions(settings, socketTimeoutMs));
  const dialer = createDialer(events, () => {
    freshOptions(settings, readSecret); // What can't be read now ends this dial.
    client.connect().catch(() => undefined);
  });

  /** Connections to nodes are made anew, never again: so each gets what the files say when it is made. */
  const freshen = (node: Redis) => {
    try {
      Object.assign(node.options, freshOptions(settings, readSecret));
    } catch {
      dialer.failed(new StoreFault('auth', 'a secret file of store.redis could not be read'));
    }
  };
  const learnSlots = () => {
    if (client.status === 'ready') client.refreshSlotsCache();
  };
  const count = () => events.count(client.nodes().length);

  client.on('+node', (node: Redis) => {
    freshen(node);
    count();
  });
  client.on('-node', () => {
    count();
    learnSlots();
  });
  client.on('error', dialer.failed);
  client.on('node error', (error: unknown) => {
    dialer.failed(error);
    // The slot map is asked for over copies of the nodes' options.
    if (storeFault(error).reason === 'auth') for (const node of client.nodes()) freshen(node);
  });
  client.on('ready', () => events.up());
  client.on('end', dialer.ended);

  return {
    open: dialer.dial,
    send: (name, args) => sendTo(client, name, args),
    async sendPair(_key, [firstName, firstArgs], [secondName, secondArgs]) {
      // The library sends both to the node of the first's key.
      const pipeline = client.pipeline([
        [firstName, ...firstArgs],
        [secondName, ...secondArgs],
      ]);
      const [first, second] = (await pipeline.exec()) ?? [];
      const failure = first?.[0] ?? second?.[0];
      if (failure === undefined || failure === null) return [first?.[1], second?.[1]];
      if (storeFault(failure).reason === 'moved') learnSlots();
      throw failure;
    },
    primaries: () =>
      client.status === 'ready'
        ? client.nodes('master').map((node) => ({ send: (name: string, args: Arguments) => sendTo(node, name, args) }))
        : [],
    reconnect: () => client.disconnect(true),
    settled: dialer.settled,
    async close() {
      dialer.stop();
      await ended(client, client.status === 'end' || client.status === 'wait');
    },
  };
}
