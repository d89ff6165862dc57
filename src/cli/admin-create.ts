/** `castellan admin create`: the first account of an installation, or another one who may do everything. */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { Account, emailKey } from '../accounts/account.ts';
import { explainTaken } from '../accounts/email-taken.ts';
import { passwordHasher } from '../accounts/password.ts';
import { refuseGuessable } from '../accounts/password-rules.ts';
import { type Registration, registration } from '../accounts/profile-schemas.ts';
import { recordAudit } from '../audit/record.ts';
import { type Config, loadConfig } from '../config.ts';
import { parse } from '../http/endpoint.ts';
import { beginPolicy } from '../policy/begin.ts';
import { openStorage } from '../storage/open-storage.ts';
import type { Database } from '../storage/postgres.ts';
import { type Command, jsonOption, printResult, UsageError } from './command.ts';
import { commandEvaluators } from './evaluators.ts';

export const adminCreate: Command = {
  name: 'admin create',
  summary: 'Make an account with a role; the password is asked for, or read from standard input',
  options: [
    { name: 'email', type: 'string', meaning: 'required' },
    { name: 'first-name', type: 'string', meaning: 'default: Super' },
    { name: 'last-name', type: 'string', meaning: 'default: Admin' },
    { name: 'role', type: 'string', meaning: 'default: superadmin' },
    jsonOption,
  ],
  run: async ({
    email,
    'first-name': firstName = 'Super',
    'last-name': lastName = 'Admin',
    role = 'superadmin',
    json,
  }) => {
    if (email === undefined) throw new UsageError('--email is required');
    const config = loadConfig();
    const password = await readPassword();
    const person = parse(
      registration,
      { email, password, passwordRepeat: password, firstName, lastName },
      '',
    ) as Registration;
    await refuseGuessable(person.password, '/password', person);
    const storage = await openStorage(config);
    try {
      await beginPolicy(storage.db, { demo: false, evaluators: (await commandEvaluators()).names });
      const id = await createAccount(storage.db, config, person, String(role));
      printResult(json, { id, email: person.email, role }, [`made ${person.email} with the role ${role}`]);
    } finally {
      await storage.close();
    }
  },
};

async function createAccount(
  db: Database,
  config: Config,
  { password, passwordRepeat: _same, ...profile }: Registration,
  role: string,
): Promise<string> {
  const known: string[] = await db('roles').where({ built_in: false }).orderBy('key').pluck('key');
  if (!known.includes(role)) throw new UsageError(`there is no role ${role}; there are ${known.join(', ')}`);
  const passwordHash = await passwordHasher(config.password).hash(password);
  const create = async () =>
    db.transaction(async (trx) => {
      const { id } = await Account.query(trx).insert({
        ...profile,
        emailKey: emailKey(profile.email),
        passwordHash,
      });
      await trx('role_assignments').insert({ account_id: id, role_key: role });
      const actor = { id: null, name: 'castellan admin create', address: null, requestId: null };
      await recordAudit(trx, {
        actor,
        action: 'user.create',
        target: { type: 'user', id },
        after: { ...profile, roles: [role] },
      });
      return id;
    });
  return create().catch(explainTaken);
}

/** The first line of standard input; from a terminal it is asked for and not shown. */
async function readPassword(): Promise<string> {
  const { isTTY } = process.stdin;
  if (isTTY) process.stderr.write('Password: ');
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: isTTY });
  for await (const line of lines) {
    lines.close();
    if (isTTY) process.stderr.write('\n');
    return line;
  }
  throw new UsageError('no password was given on standard input');
}
