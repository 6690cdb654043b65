/** What every operation of both versions is given, made once per configuration. */
import type { Resources } from '../../core/scheme.ts';
import { createClientKeys, type ClientKeys } from './imported-keys.ts';
import { createServerKeys, type ServerKeys } from './server-keys.ts';
import type { Settings } from './settings.ts';
import { createState, type State } from './state.ts';
import { createTokens, type Tokens } from './tokens.ts';

export interface Parts {
  readonly settings: Settings;
  readonly resources: Resources;
  readonly serverKeys: ServerKeys;
  readonly clientKeys: ClientKeys;
  readonly tokens: Tokens;
  readonly state: State;
  /** S: how far a client's clock may be ahead of ours, ms. */
  readonly aheadMs: number;
  /** An event of the scheme's own: counted, and a line in the log. */
  tell(event: EventName, subject: string): void;
}

/** What operators hear of. A closed set: it is a metric label. */
export const EVENTS = {
  session_theft: 'a spent refresh nonce was shown again; the session has ended',
  recovery_changed: 'the recovery key of an account was replaced by a device',
} as const;
export type EventName = keyof typeof EVENTS;
export const EVENT_COUNTER = 'better_auth_events_total';

const MAX_AHEAD_MS = 5000;

export function createParts(settings: Settings, resources: Resources): Parts {
  const { signatures, clock, skewMs } = resources;
  const clientKeys = createClientKeys();
  const serverKeys = createServerKeys(resources, settings, clientKeys);
  return {
    settings,
    resources,
    serverKeys,
    clientKeys,
    tokens: createTokens({ settings, serverKeys, clientKeys, signatures, clock }),
    state: createState(resources, settings),
    aheadMs: Math.min(skewMs, MAX_AHEAD_MS),
    tell(event, subject) {
      resources.count(EVENT_COUNTER, { event });
      resources.notice(event, subject);
    },
  };
}
