/** Where evaluator and shadow disagreed: kept for those who move from one to the other, so many of each resource type at most. */
import { randomUUID } from 'node:crypto';
import type { Disagreement } from '../decision/shadow.ts';
import type { Database } from '../storage/postgres.ts';
import { Burst } from './burst.ts';
import { redactText } from './redact.ts';

export interface DisagreementLogOptions {
  db: Database;
  keptDays: number;
  /** Told of each one that is kept, as it is written. */
  onKept(row: Record<string, unknown>): void;
  /** Told when they cannot be written or removed. */
  onTrouble(cause: unknown): void;
}

const FLUSH_MS = 1000;
const CLEAN_MS = 60 * 60 * 1000;
const DAY_MS = 24 * CLEAN_MS;
const LONGEST = 500;

export class DisagreementLog {
  readonly #options: DisagreementLogOptions;
  readonly #timer: NodeJS.Timeout;
  #rows: Record<string, unknown>[] = [];
  /** A wrong shadow disagrees with every request. */
  readonly #burst = new Burst();
  #cleanedAtMs = Number.NEGATIVE_INFINITY;
  #flight: Promise<void> = Promise.resolve();

  constructor(options: DisagreementLogOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.written(), FLUSH_MS).unref();
  }

  /** Keeps it, where there is room for one of its resource type. Never waits. */
  note(disagreement: Disagreement): void {
    if (!this.#burst.take(disagreement.entry.request.resource.type)) return;
    const row = rowOf(disagreement);
    this.#rows.push(row);
    this.#options.onKept(row);
  }

  /** Resolves when what was noted until now is written, or could not be: then it is lost. */
  written(): Promise<void> {
    this.#flight = this.#flight.then(() => this.#write()).catch((cause) => this.#options.onTrouble(cause));
    return this.#flight;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.written();
  }

  async #write(): Promise<void> {
    const { db, keptDays } = this.#options;
    const rows = this.#rows;
    this.#rows = [];
    if (rows.length > 0) await db('disagreements').insert(rows);
    const nowMs = performance.now();
    if (nowMs - this.#cleanedAtMs < CLEAN_MS) return;
    this.#cleanedAtMs = nowMs;
    await db('disagreements')
      .where('at', '<', new Date(Date.now() - keptDays * DAY_MS))
      .delete();
  }
}

/** Names and reasons only: the facts are in the decision log, where it keeps them. */
function rowOf({ entry, decisionId, atMs, shadow }: Disagreement): Record<string, unknown> {
  const { request, decision, evaluator, doubt } = entry;
  const { id } = request.resource.attributes;
  return {
    id: randomUUID(),
    at: new Date(atMs),
    revision: decision.revision,
    principalType: request.principal.type,
    principalId: safe(request.principal.id),
    action: request.action.name,
    resourceType: request.resource.type,
    resourceId: typeof id === 'string' || typeof id === 'number' ? safe(String(id)) : null,
    allow: decision.allow,
    ruleId: decision.ruleId,
    reason: safe(decision.reason),
    evaluator,
    doubt: doubt === undefined ? null : safe(doubt instanceof Error ? doubt.message : String(doubt)),
    shadow: {
      ...shadow,
      ruleId: shadow.ruleId === null ? null : safe(shadow.ruleId),
      ...(shadow.reason !== undefined && { reason: safe(shadow.reason) }),
      ...(shadow.doubt !== undefined && { doubt: safe(shadow.doubt) }),
    },
    decisionId: decisionId ?? null,
    requestId: request.requestId === undefined ? null : safe(request.requestId),
  };
}

/** Without secrets, of bounded length, and such that PostgreSQL takes it. */
function safe(text: string): string {
  return redactText(text).slice(0, LONGEST).toWellFormed().replaceAll('\0', '\ufffd');
}
