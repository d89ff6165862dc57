/** What may be sent about somebody else's account. */
import Joi from 'joi';
import { passwordChange, registration, userShape as wrappedUserShape } from '../accounts/profile-schemas.ts';

const attributes = Joi.object()
  .pattern(Joi.string(), Joi.any())
  .description('as declared on the resource type user');
const profile = {
  email: registration.extract('email').optional(),
  firstName: registration.extract('firstName').optional(),
  lastName: registration.extract('lastName').optional(),
  patronymic: registration.extract('patronymic'),
};

export interface UserCreation {
  email: string;
  password: string;
  firstName: string;
  lastName: string;
  patronymic?: string | null;
  roles?: string[];
  attributes: Record<string, unknown>;
}

export interface UserChange {
  email?: string;
  firstName?: string;
  lastName?: string;
  patronymic?: string | null;
  attributes?: Record<string, unknown>;
  isActive?: boolean;
}

/** `POST /admin/users` */
export const userCreationSchema = Joi.object<UserCreation>({
  email: registration.extract('email'),
  password: registration.extract('password'),
  firstName: registration.extract('firstName'),
  lastName: registration.extract('lastName'),
  patronymic: profile.patronymic,
  roles: Joi.array().items(Joi.string()).unique().description('left out: the roles of a registration'),
  attributes: attributes.default({}),
});

/** `PATCH /admin/users/:id` */
export const userChangeSchema = Joi.object<UserChange>({
  ...profile,
  attributes,
  isActive: Joi.boolean(),
}).min(1);

/** `PUT /admin/users/:id/password` */
export const passwordResetSchema = Joi.object<{ newPassword: string }>({
  newPassword: passwordChange.extract('newPassword'),
});

export const userShape = wrappedUserShape.extract('user');
