/** What carriers and versions hand to the judgement of an access message (`access.ts`). */
import type { JsonValue } from '../../encoding/strict-json.ts';
import type { DecodedToken } from './tokens.ts';

/** What a carrier holds, its forms already judged. */
export interface AccessMessage {
  readonly token: DecodedToken;
  readonly timestampMs: number;
  readonly nonce: string;
  /** 64 bytes. */
  readonly signature: Uint8Array;
  readonly signedBytes: Uint8Array;
  /** Names of the headers that carried it. */
  readonly consumed: readonly string[];
}

/** Whether the account still stands behind a token, and what the upstream is told of the key. */
export type Standing =
  | { readonly isRevoked: true; readonly why: string }
  | { readonly isRevoked: false; readonly keyId: string; readonly device: string | null };

/** Members of a body of either version, none of them judged yet but by type. */
export interface BodyMembers {
  readonly token: string;
  readonly timestamp: string;
  readonly nonce: string;
  readonly signature: string;
  readonly signedBytes: Uint8Array;
  /** `payload.request`: the application's. */
  readonly request: JsonValue;
}
