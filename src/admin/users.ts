/** /admin/users: accounts, kept by those whom the policy lets. */
import Joi from 'joi';
import { Account, emailKey, type PresentedUser, presentUser, rolesOf } from '../accounts/account.ts';
import { abilityShape } from '../accounts/me-endpoints.ts';
import { accountAttributes, accountPrincipal, findAccountFacts } from '../decision/principals.ts';
import { endpoint, type GuardedCall, type GuardedEndpoint, type LoadCall } from '../enforcement/access.ts';
import { AppError, invalidField } from '../errors.ts';
import { toPlainAbility } from '../evaluators/casl-rules.ts';
import { type PageQuery, pageKeys } from '../http/page.ts';
import { ACCOUNT_TYPE } from '../policy/built-in.ts';
import type { Services } from '../services.ts';
import { assignmentsOf, assignRole, unassignRole } from './assign-role.ts';
import { changeUser, createUser, endUserSessions, requireFitting, resetPassword } from './change-user.ts';
import { listReadable } from './list-readable.ts';
import { presentReadable } from './present-user.ts';
import {
  passwordResetSchema,
  type UserChange,
  type UserCreation,
  userChangeSchema,
  userCreationSchema,
  userShape,
} from './user-schemas.ts';

const path = '/api/v1/admin/users';
const params = Joi.object({ id: Joi.string().uuid().required() });
const roleParams = params.keys({ key: Joi.string().max(100).required() });
const reply = {
  status: 200,
  description: 'The account, without the fields that may not be read',
  shape: Joi.object({ user: userShape }),
};
const writeErrors = ['privilege_escalation', 'policy_locks_out'] as const;

const roleGift = Joi.object<{ expiresAt?: Date | null }>({
  expiresAt: Joi.date()
    .iso()
    .greater('now')
    .messages({ 'date.greater': 'must be in the future' })
    .allow(null)
    .description('left out or null: it lasts'),
});

interface UserFilter extends PageQuery {
  role?: string;
  email?: string;
  isActive?: boolean;
}

export function userEndpoints(services: Services): GuardedEndpoint[] {
  const load = async ({ params: { id = '' } }: LoadCall) => {
    const [facts] = await findAccountFacts(services.db, [id]);
    return facts && accountAttributes(facts);
  };
  const access = (action: string) => ({ action, resource: ACCOUNT_TYPE, load });
  return [
    endpoint<undefined, UserFilter>({
      method: 'get',
      path,
      summary: 'List accounts',
      access: { action: 'read', resource: ACCOUNT_TYPE },
      query: Joi.object({ ...pageKeys, role: Joi.string(), email: Joi.string(), isActive: Joi.boolean() }),
      reply: {
        status: 200,
        description: 'A page',
        shape: Joi.object({ items: Joi.array().items(userShape), nextCursor: Joi.string().allow(null) }),
      },
      handle: async (call) => ({ status: 200, body: await listUsers(services, call) }),
    }),
    endpoint<UserCreation>({
      method: 'post',
      path,
      summary: 'Make an account',
      body: userCreationSchema,
      access: {
        action: 'create',
        resource: ACCOUNT_TYPE,
        load: ({ body, req }) => {
          // What does not fit is named, before the decision could only be in doubt of it.
          requireFitting(body.attributes, req.access?.snapshot ?? services.live.snapshot);
          return { ...body.attributes, ...body, isActive: true };
        },
        writes: fieldsWritten,
      },
      reply: { ...reply, status: 201 },
      errors: ['email_taken', ...writeErrors],
      handle: async (call) => {
        const id = await createUser(services, call);
        return { ...(await answerUser(services, call, id, 201)), headers: { Location: `${path}/${id}` } };
      },
    }),
    endpoint({
      method: 'get',
      path: `${path}/:id`,
      summary: 'Read an account',
      params,
      access: access('read'),
      reply,
      handle: (call) => answerUser(services, call, call.params.id ?? '', 200),
    }),
    endpoint<UserChange>({
      method: 'patch',
      path: `${path}/:id`,
      summary: 'Change an account: names, e-mail, attributes, isActive. In attributes null takes one away',
      params,
      body: userChangeSchema,
      access: { ...access('update'), writes: fieldsWritten },
      reply,
      errors: ['email_taken', 'access_denied', ...writeErrors],
      handle: async (call) => {
        await changeUser(services, call);
        return answerUser(services, call, call.params.id ?? '', 200);
      },
    }),
    endpoint({
      method: 'delete',
      path: `${path}/:id`,
      summary: 'Deactivate an account; the row stays',
      params,
      access: access('deactivate'),
      reply: { status: 204, description: 'It is deactivated and logged out everywhere' },
      errors: writeErrors,
      handle: async (call) => {
        await changeUser(services, { ...call, body: { isActive: false } });
        return { status: 204 };
      },
    }),
    endpoint<{ newPassword: string }>({
      method: 'put',
      path: `${path}/:id/password`,
      summary: 'Set a new password; every session of the account ends',
      params,
      body: passwordResetSchema,
      access: access('reset-password'),
      reply: { status: 204, description: 'It is set' },
      errors: ['privilege_escalation'],
      handle: async (call) => {
        await resetPassword(services, call);
        return { status: 204 };
      },
    }),
    endpoint({
      method: 'get',
      path: `${path}/:id/roles`,
      summary: 'The roles given to an account, and when they end',
      params,
      access: access('read'),
      reply: {
        status: 200,
        description: 'The roles',
        shape: Joi.object({
          items: Joi.array().items(
            Joi.object({
              key: Joi.string(),
              expiresAt: Joi.date().iso().allow(null),
              createdAt: Joi.date().iso(),
            }),
          ),
        }),
      },
      handle: async (call) => ({ status: 200, body: { items: await readAssignments(services, call) } }),
    }),
    endpoint<{ expiresAt?: Date | null } | undefined>({
      method: 'put',
      path: `${path}/:id/roles/:key`,
      summary: 'Give a role, for good or until it expires',
      params: roleParams,
      body: roleGift,
      access: access('assign-role'),
      reply: { status: 204, description: 'The account has the role' },
      errors: writeErrors,
      handle: async (call) => {
        await assignRole(services, call);
        return { status: 204 };
      },
    }),
    endpoint({
      method: 'delete',
      path: `${path}/:id/roles/:key`,
      summary: 'Take a role away',
      params: roleParams,
      access: access('assign-role'),
      reply: { status: 204, description: 'The account does not have the role' },
      errors: writeErrors,
      handle: async (call) => {
        await unassignRole(services, call);
        return { status: 204 };
      },
    }),
    endpoint({
      method: 'delete',
      path: `${path}/:id/sessions`,
      summary: 'End every session of an account',
      params,
      access: {
        action: 'delete',
        resource: 'castellan.session',
        load: async (call) => (await load(call)) && { accountId: call.params.id },
      },
      reply: { status: 204, description: 'It is logged out everywhere' },
      errors: ['privilege_escalation'],
      handle: async (call) => {
        await endUserSessions(services, call);
        return { status: 204 };
      },
    }),
    endpoint({
      method: 'get',
      path: `${path}/:id/ability`,
      summary: 'What an account may do, as CASL rules',
      params,
      access: access('read'),
      reply: { status: 200, description: 'As /me/ability', shape: abilityShape },
      handle: async ({ params: { id = '' }, context: { snapshot, request } }) => {
        const [facts] = await findAccountFacts(services.db, [id]);
        if (!facts) throw new AppError('not_found');
        // Attributes are settled into the conditions: who may not read one could read it there.
        const fields = Object.keys(snapshot.types.get(ACCOUNT_TYPE)?.attributes ?? {});
        const readable = request && (await services.decisions.permittedFields(snapshot, request, fields));
        if (!fields.every((field) => readable?.has(field)))
          throw new AppError('access_denied', {
            message: 'it shows every attribute of the account, and you may not read them all',
          });
        const ability = await services.abilityOf(snapshot, accountPrincipal(facts, snapshot));
        return { status: 200, body: toPlainAbility(ability, snapshot.types) };
      },
    }),
  ];
}

/** Asked of by actions of their own, or one by one. */
const notFields = new Set(['attributes', 'isActive', 'password', 'roles']);

/** Attributes count one by one. */
function fieldsWritten({ body, sentFields }: LoadCall<UserChange>): string[] {
  return [...sentFields.filter((field) => !notFields.has(field)), ...Object.keys(body.attributes ?? {})];
}

/** Whoever may not read the roles of an account may not read when they end. */
async function readAssignments(
  { db, decisions }: Services,
  { params: { id = '' }, context: { snapshot, request } }: GuardedCall,
) {
  const permitted = request && (await decisions.permittedFields(snapshot, request, ['roles']));
  if (!permitted?.has('roles'))
    throw new AppError('access_denied', { message: 'you may not read the roles of this account' });
  return assignmentsOf(db, id);
}

async function listUsers(services: Services, call: GuardedCall<unknown, UserFilter>) {
  const { role, email, isActive } = call.query;
  const query = Account.query(services.db);
  if (isActive !== undefined) query.where({ isActive });
  if (email !== undefined) query.where('emailKey', emailKey(email));
  if (role !== undefined)
    query.whereIn(
      'id',
      services
        .db('role_assignments')
        .select('account_id')
        .where({ role_key: role })
        .whereRaw('(expires_at IS NULL OR expires_at > now())'),
    );
  return listReadable<Account, Partial<PresentedUser>>(services, call, {
    page: (after, size) => {
      const page = query.clone().orderBy('id').limit(size);
      if (after === undefined) return page;
      if (Joi.string().uuid().validate(after).error)
        throw invalidField('/query/cursor', 'must be a nextCursor of this list');
      return page.where('id', '>', after);
    },
    nameOf: ({ id }) => id,
    filteredBy: Object.entries({ roles: role, email, isActive }).flatMap(([field, value]) =>
      value === undefined ? [] : [field],
    ),
    resource: ACCOUNT_TYPE,
    attributesOf: accountAttributes,
    present: async (account) =>
      presentReadable(services, call, presentUser(account, await rolesOf(services.db, account.id))),
  });
}

async function answerUser(
  services: Services,
  call: GuardedCall<unknown, unknown>,
  id: string,
  status: number,
) {
  const account = await Account.query(services.db).findById(id);
  if (!account) throw new AppError('not_found');
  const user = presentUser(account, await rolesOf(services.db, id));
  return { status, body: { user: await presentReadable(services, call, user) } };
}
