/** Nothing that can be asked, read or administered stands open by accident. */
import { addressOf, isLoopback, parseAddress } from '../../core/address.ts';
import type { Rule } from './rule.ts';

/** Whoever can call Check can spend one-time values and learn which proofs are valid. */
const checkIsProtected: Rule = {
  needs: ['listeners', 'insecure'],
  check({ listeners: { check }, insecure }, { refuse }) {
    if (check.tls !== undefined && check.meshTls) {
      refuse(
        ['listeners', 'check', 'meshTls'],
        'expected false beside tls: either countersign ends TLS or the mesh does',
      );
    }
    if (isLocal(check.address) || check.tls !== undefined || check.meshTls || insecure.plaintextCheck) return;
    refuse(
      ['listeners', 'check', 'address'],
      'expected a unix socket or loopback address, or listeners.check.tls, or listeners.check.meshTls where a mesh proxy in the pod does mutual TLS (insecure.plaintextCheck waives it)',
    );
  },
};

const adminIsLocal: Rule = {
  needs: ['listeners', 'insecure'],
  check({ listeners: { admin }, insecure }, { refuse }) {
    if (admin.tokenFile === undefined || insecure.wideAdmin || isLocal(admin.address)) return;
    refuse(
      ['listeners', 'admin', 'address'],
      'expected a loopback address, since with a token the admin API is served here without TLS (insecure.wideAdmin waives it; without tokenFile there are metrics and health only)',
    );
  },
};

const addressesDiffer: Rule = {
  needs: ['listeners', 'process'],
  check({ listeners: { check, issuer, admin }, process: { checkWorkers } }, { refuse }) {
    const ofWorkers = Array.from({ length: checkWorkers }, (_, index) => addressOf(check.address, index + 1));
    if (ofWorkers.some((address) => parseAddress(address) === undefined))
      refuse(['listeners', 'check', 'address'], `expected an address with each number from 1 to ${checkWorkers} in it`);
    const seen = new Map(ofWorkers.map((address) => [address, 'listeners.check.address']));
    for (const [name, address] of [
      ...(issuer.enabled ? [['issuer', issuer.address] as const] : []),
      ['admin', admin.address] as const,
    ]) {
      const other = seen.get(address);
      if (other !== undefined && !address.endsWith(':0'))
        refuse(['listeners', name, 'address'], `expected another address than ${other}`);
      seen.set(address, `listeners.${name}.address`);
    }
  },
};

function isLocal(text: string): boolean {
  const address = parseAddress(addressOf(text, 1));
  return address !== undefined && isLoopback(address);
}

export const listenerRules: readonly Rule[] = [checkIsProtected, adminIsLocal, addressesDiffer];
