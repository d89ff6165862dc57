/** A real PostgreSQL that starts with the first process of a folder and ends with the last: the default without `DATABASE_URL`. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type Cluster, openCluster } from './embedded-postgres-cluster.ts';
import { isPostmaster, launch, readPidFile, shutDown } from './embedded-postgres-server.ts';

/** What a process holds while it uses the embedded server. */
export interface EmbeddedPostgres {
  /** Connection string of the superuser and the database `castellan`. */
  url: string;
  /** Gives the server up. The last user of it shuts it down and waits for its end; call it once the pools are closed. */
  stop(): Promise<void>;
}

const START_TIMEOUT_MS = 60_000;
const MAX_FAILED_LAUNCHES = 7;

/**
 * Each process in the folder holds this lock, shared, on a connection of its own. Whoever gets it exclusively is the
 * last one; a newcomer waits on it meanwhile, and no crash can leave it behind.
 */
const USERS_LOCK = "hashtext('castellan'), hashtext('embedded-postgres')";

/**
 * Starts the server of `dataDir`, or joins the one that another process started there. It listens on 127.0.0.1 only,
 * and outlives a Ctrl-C until `stop`. Throws an Error whose message is one line for the operator.
 */
export async function startEmbeddedPostgres(options: {
  dataDir: string;
  log?: (message: string) => void;
}): Promise<EmbeddedPostgres> {
  const { dataDir, log = () => {} } = options;
  const cluster = await openCluster(dataDir, log);
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (let failedLaunches = 0; ; ) {
    const server = await readPidFile(cluster.data);
    const presence = server && (await attach(cluster, server.port));
    if (server && presence) return embeddedPostgres(cluster, server.port, presence);
    if (Date.now() > deadline) throw startFailure(`no answer within ${START_TIMEOUT_MS / 1000} s`);
    if (server && (await isPostmaster(server.pid, cluster.data))) {
      await sleep(50); // it is starting, recovering or stopping
      continue;
    }
    await launch(cluster).catch(async (cause: Error) => {
      // The port was taken meanwhile, another process was faster, or the backends of a killed server are still leaving.
      failedLaunches += 1;
      if (failedLaunches === MAX_FAILED_LAUNCHES) throw startFailure(cause.message, cause);
      await sleep(50 * 2 ** failedLaunches);
    });
  }
}

function startFailure(reason: string, cause?: Error): Error {
  return new Error(`The embedded PostgreSQL does not start: ${reason}`, { cause });
}

function embeddedPostgres(cluster: Cluster, port: number, presence: pg.Client): EmbeddedPostgres {
  let stopped: Promise<void> | undefined;
  const stop = async () => {
    // The server drops every connection when one of its processes crashes, and goes on.
    const alive = await presence.query('select 1').catch(() => undefined);
    const client = alive ? presence : await attach(cluster, port);
    if (!client) return;
    try {
      if (await isLastUser(client)) await shutDown(cluster);
    } finally {
      await client.end().catch(() => {});
    }
  };
  return {
    url: `postgres://castellan:${cluster.password}@127.0.0.1:${port}/castellan`,
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

/** Connects and takes the users' lock. That the password is accepted proves that it is our server on this port. */
async function attach(cluster: Cluster, port: number): Promise<pg.Client | undefined> {
  const client = newClient(cluster, port, 'castellan');
  try {
    await client.connect();
    await client.query(`select pg_advisory_lock_shared(${USERS_LOCK})`);
    return client;
  } catch (error) {
    await client.end().catch(() => {});
    if (!(error instanceof pg.DatabaseError && error.code === '3D000')) return undefined;
    return (await createDatabase(cluster, port)) ? attach(cluster, port) : undefined;
  }
}

/** Answers false when it did not work because another process was doing the same. */
async function createDatabase(cluster: Cluster, port: number): Promise<boolean> {
  const client = newClient(cluster, port, 'postgres');
  try {
    await client.connect();
    await client.query('create database castellan');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}

function newClient(cluster: Cluster, port: number, database: string): pg.Client {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'castellan',
    password: cluster.password,
    database,
    ssl: false,
    application_name: 'castellan embedded-postgres',
    connectionTimeoutMillis: 5000,
  });
  client.on('error', () => {}); // a server that ends meanwhile shows in the next query
  return client;
}

/** True once nobody else uses the server, and then keeps newcomers waiting. A server that is gone has no last user. */
async function isLastUser(presence: pg.Client): Promise<boolean> {
  try {
    await presence.query(`select pg_advisory_unlock_shared(${USERS_LOCK})`);
    const lock = await presence.query(`select pg_try_advisory_lock(${USERS_LOCK}) as mine`);
    if (!lock.rows[0].mine) return false;
    // Gateways that were given the URL hold no lock. Connections just closed take a moment to leave this list.
    for (let attempt = 0; attempt < 20; attempt++) {
      const others = await presence.query(
        `select 1 from pg_stat_activity where application_name like 'castellan%' and pid <> pg_backend_pid()`,
      );
      if (others.rowCount === 0) return true;
      await sleep(50);
    }
    return false;
  } catch {
    return false;
  }
}
