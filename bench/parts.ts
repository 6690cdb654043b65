/** The two parts of a full Check that nobody can avoid, measured in this run: one P-256 verification, one Redis command. */
import { Redis } from 'ioredis';
import { generateKeyPair, sign, createSignatures } from '../src/crypto/signatures.ts';

const VERIFICATIONS = 3000;
const COMMANDS = 20_000;
const IN_FLIGHT = 16;

/** CPU microseconds of one ES256 verification, the key imported already. */
export async function verificationUs(): Promise<number> {
  const { privateJwk, publicJwk } = generateKeyPair('ES256');
  const message = new Uint8Array(200).fill(7);
  const signature = sign(privateJwk, message);
  const signatures = createSignatures({ mode: 'sync' });
  const key = { alg: 'ES256', jwk: publicJwk } as const;
  for (let count = 0; count < 200; count += 1) await signatures.verify(key, message, signature);
  const before = process.cpuUsage();
  for (let count = 0; count < VERIFICATIONS; count += 1) await signatures.verify(key, message, signature);
  return usedUs(before) / VERIFICATIONS;
}

/** CPU microseconds of this process for one `SET ... NX PXAT` through the same client library, several in flight. */
export async function commandUs(url: string): Promise<number> {
  const redis = new Redis(url, { disableClientInfo: true });
  await redis.ping();
  let sent = 0;
  const run = async (total: number) => {
    const untilMs = Date.now() + 60_000;
    sent = 0;
    const worker = async () => {
      while (sent < total) {
        sent += 1;
        await redis.set(`bench:${Math.random()}`, 'K5eNXMK1e6uh4_FTMW58zw', 'PXAT', untilMs, 'NX');
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  };
  await run(COMMANDS / 4);
  const before = process.cpuUsage();
  await run(COMMANDS);
  const us = usedUs(before) / COMMANDS;
  redis.disconnect();
  return us;
}

function usedUs(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return user + system;
}
