/** Abilities, made once: in process, then Redis, then made anew. */
import { LRUCache } from 'lru-cache';
import { type Ability, makeAbility, type Principal } from '../policy/ability.ts';
import { type Snapshot, timeSlice } from '../policy/snapshot.ts';
import type { SharedCache } from '../storage/shared-cache.ts';

export type CacheTier = 'process' | 'redis' | 'made';

export interface AbilityCacheOptions {
  shared: SharedCache;
  maxEntries?: number;
  onLookup?(tier: CacheTier): void;
}

/** Raised when the stored form changes: what older versions left in Redis is then never asked for. */
const FORMAT = 1;
/** Rules held by all cached abilities together. */
const MOST_RULES = 1_000_000;
const SHARED_TTL_SECONDS = 3600;
/** Beyond this, reading it from Redis takes longer than making it. */
const LARGEST_SHARED = 256 * 1024;
/** Beyond so many, even the text to find that out takes long. */
const MOST_SHARED_RULES = 1000;

/**
 * Looks up abilities. The key holds everything an ability is made from (the policy's digest and revision, the slice of
 * time, the principal's facts and access version), so a hit is never wrong and nothing is ever invalidated.
 */
export function abilityCache({ shared, maxEntries = 10_000, onLookup }: AbilityCacheOptions) {
  const made = new LRUCache<string, Made>({
    max: maxEntries,
    maxSize: MOST_RULES,
    sizeCalculation: ({ ability: { rules } }) => rules.length + 1,
  });
  const flights = new Map<string, Promise<Ability>>();
  const latest = new WeakMap<Principal, Latest>();

  return function abilityOf(snapshot: Snapshot, principal: Principal): Ability | Promise<Ability> {
    const nowMs = snapshot.boundariesMs.length > 0 ? Date.now() : 0; // without boundaries any time will do
    const slice = timeSlice(snapshot, nowMs);
    const recent = latest.get(principal);
    if (recent && recent.slice === slice && isOf(snapshot, recent)) {
      const ability = recent.ability.deref();
      if (ability) {
        onLookup?.('process');
        return ability;
      }
    }
    const { digest, revision } = snapshot;
    const key = `ability:${FORMAT}:${digest}:${revision}:${slice}:${principal.digest}`;
    const known = made.get(key);
    if (known) {
      onLookup?.('process');
      const { ability } = known;
      // Most principals that others ask about are made for one question, and remembering one takes longer than finding it.
      if (known.askedFor === principal.roles)
        latest.set(principal, { digest, revision, slice, ability: new WeakRef(ability) });
      else known.askedFor = principal.roles;
      return ability;
    }
    let flight = flights.get(key);
    if (!flight) {
      flight = fetchOrMake(key, () => makeAbility(snapshot, principal, nowMs), shared, onLookup)
        .then((ability) => {
          made.set(key, { ability, askedFor: principal.roles });
          return ability;
        })
        .finally(() => flights.delete(key));
      flights.set(key, flight);
    }
    return flight;
  };
}

interface Made {
  ability: Ability;
  /**
   * Of whom it was looked up for last, the list that nobody else has. Not the whole of them: with what others say of ten
   * thousand principals the memory would be full.
   */
  askedFor: Principal['roles'];
}

/**
 * What a principal had when last asked, so that no key has to be put together and looked up while nothing changes.
 * Weak, and without the snapshot itself: a session that is idle keeps neither ability nor policy in memory.
 */
interface Latest {
  digest: string;
  revision: number;
  slice: number;
  ability: WeakRef<Ability>;
}

function isOf(snapshot: Snapshot, { digest, revision }: Latest): boolean {
  return snapshot.revision === revision && snapshot.digest === digest;
}

async function fetchOrMake(
  key: string,
  make: () => Ability,
  shared: SharedCache,
  onLookup: AbilityCacheOptions['onLookup'],
): Promise<Ability> {
  const stored = parse(await shared.get(key), key);
  onLookup?.(stored ? 'redis' : 'made');
  if (stored) return stored;
  const ability = make();
  if (ability.rules.length > MOST_SHARED_RULES) return ability;
  const text = JSON.stringify({ key, ability });
  if (text.length <= LARGEST_SHARED) void shared.set(key, text, SHARED_TTL_SECONDS);
  return ability;
}

/** What is not exactly an entry of this key is as good as nothing. */
function parse(text: string | undefined, key: string): Ability | undefined {
  if (text === undefined) return undefined;
  try {
    const entry = JSON.parse(text);
    return entry?.key === key && Array.isArray(entry.ability?.rules) ? entry.ability : undefined;
  } catch {
    return undefined;
  }
}
