/** What the proxy's access log may know of a verdict: `countersign` in the filter's dynamic metadata, for allows and denials alike. */
import type { Route } from '../config/routes.ts';
import type { Decision } from '../core/decision.ts';
import { keyHash } from '../telemetry/id-hash.ts';

export interface MetadataFields {
  readonly outcome?: 'allow' | 'deny' | 'fault' | 'shadow_deny' | 'shadow_fault';
  /** The true denial code, or the reason of the fault; absent on allow. */
  readonly code?: string;
  /** Name of the scheme that decided, or `none`. */
  readonly scheme?: string;
  readonly route?: string;
  /** Joins the proxy's access log with ours. */
  readonly check_id?: string;
  /** Hash of subject and key id; only on allow. */
  readonly key?: string;
  /** Only on allow, and only when the operator asked for it. */
  readonly subject?: string;
}

/** @param withSubject `envoy.subjectMetadata`. */
export function metadataOf(
  decision: Decision,
  route: Route | undefined,
  checkId: string,
  withSubject: boolean,
): MetadataFields {
  const isShadow = route?.shadow === true;
  return {
    ...verdict(decision, isShadow, withSubject),
    scheme: decision.scheme ?? 'none',
    ...(route && { route: route.name }),
    check_id: checkId,
  };
}

function verdict(decision: Decision, isShadow: boolean, withSubject: boolean): MetadataFields {
  if (decision.outcome === 'allow') {
    const { subject, keyId } = decision.identity;
    return { outcome: 'allow', key: keyHash(subject, keyId), ...(withSubject && { subject }) };
  }
  if (decision.outcome === 'deny') return { outcome: isShadow ? 'shadow_deny' : 'deny', code: decision.denial.code };
  return { outcome: isShadow ? 'shadow_fault' : 'fault', code: decision.reason };
}
