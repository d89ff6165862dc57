/** The demo's people and what they have: one account for each role of the demo policy. */
import type { Knex } from 'knex';
import { passwordHasher } from '../src/accounts/password.ts';
import { type Config, ConfigError, loadConfig } from '../src/config.ts';
import { evaluatorNames } from '../src/evaluators/index.ts';
import { beginPolicy } from '../src/policy/begin.ts';

interface DemoAccount {
  email: string;
  password: string;
  firstName: string;
  lastName: string;
  roles: string[];
  attributes?: Record<string, unknown>;
  isActive?: false;
}

/** In the order of their ids: 00000000-0000-4000-8000-000000000001 and on. */
export const demoAccounts: readonly DemoAccount[] = [
  {
    email: 'superadmin@example.com',
    password: 'superpass',
    firstName: 'Sigrid',
    lastName: 'Stein',
    roles: ['superadmin'],
  },
  {
    email: 'admin@example.com',
    password: 'adminpass',
    firstName: 'Adam',
    lastName: 'Ward',
    roles: ['admin'],
  },
  {
    email: 'editor@example.com',
    password: 'editorpass',
    firstName: 'Edda',
    lastName: 'Marsh',
    roles: ['editor'],
    attributes: { department: 'editorial' },
  },
  {
    email: 'author@example.com',
    password: 'authorpass',
    firstName: 'Antonín',
    lastName: 'Dvořák',
    roles: ['author'],
    attributes: { department: 'editorial' },
  },
  {
    email: 'approver@example.com',
    password: 'approverpass',
    firstName: 'Ольга',
    lastName: 'Иванова',
    roles: ['approver'],
    attributes: { department: 'sales', approvalLimit: 1000, regions: ['EU', 'UK'] },
  },
  {
    email: 'auditor@example.com',
    password: 'auditorpass',
    firstName: 'Aud',
    lastName: 'Holm',
    roles: ['auditor'],
  },
  {
    email: 'user@example.com',
    password: 'userpass',
    firstName: 'Uma',
    lastName: 'Rao',
    roles: ['user'],
    attributes: { department: 'sales' },
  },
  {
    email: 'suspended@example.com',
    password: 'suspendedpass',
    firstName: 'Sven',
    lastName: 'Falk',
    roles: ['author'],
    attributes: { department: 'sales' },
    isActive: false,
  },
];

const documents = [
  {
    title: 'House style',
    body: 'Short words win.',
    status: 'published',
    owner: 'editor@example.com',
    department: 'editorial',
    notes: 'Reviewed by legal',
  },
  {
    title: 'Spring issue',
    body: 'An outline.',
    status: 'draft',
    owner: 'author@example.com',
    department: 'editorial',
    notes: 'Ask for the cover',
  },
  {
    title: 'Interview',
    body: 'Questions and answers.',
    status: 'review',
    owner: 'author@example.com',
    department: 'editorial',
    notes: null,
  },
  {
    title: 'Price list',
    body: 'Prices from April.',
    status: 'published',
    owner: 'approver@example.com',
    department: 'sales',
    notes: 'Margin: 40 %',
  },
  {
    title: 'Sales forecast',
    body: 'Up and to the right.',
    status: 'draft',
    owner: 'user@example.com',
    department: 'sales',
    notes: null,
  },
];

const orders = [
  { amount: 250, currency: 'EUR', region: 'EU', by: 'user@example.com' },
  { amount: 4800, currency: 'EUR', region: 'EU', by: 'user@example.com' },
  { amount: 120, currency: 'USD', region: 'US', by: 'author@example.com' },
  { amount: 90, currency: 'GBP', region: 'UK', by: 'approver@example.com' },
];

/** Adds the demo's accounts, documents and orders; what is there already stays. The demo policy must be in force. */
export async function seedDemo(knex: Knex, password: Config['password']): Promise<void> {
  const hasher = passwordHasher(password);
  const hashes: string[] = [];
  for (const account of demoAccounts) hashes.push(await hasher.hash(account.password));
  await knex.transaction(async (trx) => {
    for (const [index, account] of demoAccounts.entries())
      await addAccount(trx, account, demoId(index), hashes[index] ?? '');
    const [{ count = 0 } = {}] = await trx('documents').count();
    if (Number(count) > 0) return;
    await trx('documents').insert(documents.map(({ owner, ...row }) => ({ ...row, owner_id: idOf(owner) })));
    await trx('orders').insert(orders.map(({ by, ...row }) => ({ ...row, created_by: idOf(by) })));
  });
}

async function addAccount(
  trx: Knex.Transaction,
  account: DemoAccount,
  id: string,
  passwordHash: string,
): Promise<void> {
  const added = await trx('accounts')
    .insert({
      id,
      email: account.email,
      email_key: account.email,
      password_hash: passwordHash,
      first_name: account.firstName,
      last_name: account.lastName,
      attributes: JSON.stringify(account.attributes ?? {}),
      is_active: account.isActive ?? true,
      deactivated_at: account.isActive === false ? trx.fn.now() : null,
    })
    .onConflict()
    .ignore()
    .returning('id');
  if (added.length > 0)
    await trx('role_assignments').insert(account.roles.map((role) => ({ account_id: id, role_key: role })));
}

function idOf(email: string): string {
  return demoId(demoAccounts.findIndex((account) => account.email === email));
}

function demoId(index: number): string {
  return `00000000-0000-4000-8000-${String(index + 1).padStart(12, '0')}`;
}

/** For `knex seed:run` and `castellan seed`. Refuses in production: these passwords are known to everybody. */
export async function seed(knex: Knex): Promise<void> {
  const config = loadConfig();
  if (config.env === 'production')
    throw new ConfigError(
      'the demo is not for NODE_ENV=production; make an account with: castellan admin create',
    );
  await beginPolicy(knex, { demo: true, evaluators: evaluatorNames });
  await seedDemo(knex, config.password);
}
