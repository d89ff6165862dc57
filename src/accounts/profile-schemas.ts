/** What may be sent about an account: joi schemas, and the shapes they make. */
import Joi, { type CustomHelpers } from 'joi';

const NAME_MAX = 100;
const EMAIL_MAX = 254;
const PASSWORD_MIN = 8;
const PASSWORD_MAX = 256;
/**
 * UTF-16 units that are looked at at all. Normalising takes time with the square of the length (a body full of
 * combining marks would take a minute), and nothing longer is short enough once it is normalised.
 */
const MOST_UNITS = 2048;

export interface Registration {
  email: string;
  password: string;
  passwordRepeat: string;
  firstName: string;
  lastName: string;
  patronymic?: string | null;
}

export interface Credentials {
  email: string;
  password: string;
}

export interface ProfileChange {
  firstName?: string;
  lastName?: string;
  patronymic?: string | null;
  email?: string;
  currentPassword?: string;
}

export interface PasswordChange {
  currentPassword: string;
  newPassword: string;
  newPasswordRepeat: string;
}

export interface Confirmation {
  currentPassword: string;
}

/** Control characters, lone surrogates, line separators, and those that turn the direction of what follows. */
const unfitForNames = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]/u;
const visible = /[^\p{C}\p{Z}]/u;

/** Trimmed, NFC, 1 to 100 code points in any script. */
const name = text(`1 to ${NAME_MAX} characters in any script`, (raw, { message }) => {
  const value = raw.trim().normalize('NFC');
  if (unfitForNames.test(value)) return message({ custom: 'must not contain control characters' });
  if (!visible.test(value)) return message({ custom: 'must not be empty' });
  return [...value].length > NAME_MAX
    ? message({ custom: `must have at most ${NAME_MAX} characters` })
    : value;
});

/** Any top-level domain; as it was typed but for the space around it. */
const email = text(`an e-mail address of at most ${EMAIL_MAX} characters`, (raw) =>
  raw.trim().normalize('NFC'),
)
  .email({ tlds: false })
  .max(EMAIL_MAX)
  .pattern(/^[^\p{C}\p{Z}]+$/u, 'visible characters')
  .messages({
    'string.email': 'must be an e-mail address',
    'string.pattern.name': 'must contain visible characters only',
  });

/** A new password: NFC, counted in code points, so that an emoji is one. */
const newPassword = text(`${PASSWORD_MIN} to ${PASSWORD_MAX} characters of any kind`, (raw, { message }) => {
  const value = raw.normalize('NFC');
  const { length } = [...value];
  if (length < PASSWORD_MIN) return message({ custom: `must have at least ${PASSWORD_MIN} characters` });
  if (length > PASSWORD_MAX) return message({ custom: `must have at most ${PASSWORD_MAX} characters` });
  return /\p{Cs}/u.test(value) ? message({ custom: 'must be well-formed Unicode' }) : value;
});

/** A password to be verified: what is longer than any password is not hashed. */
const givenPassword = text('a password', (raw, { message }) => {
  const value = raw.normalize('NFC');
  return [...value].length > PASSWORD_MAX
    ? message({ custom: `must have at most ${PASSWORD_MAX} characters` })
    : value;
});

/** `POST /auth/register` */
export const registration = Joi.object<Registration>({
  email: email.required(),
  password: newPassword.required(),
  passwordRepeat: repeatOf('password'),
  firstName: name.required(),
  lastName: name.required(),
  patronymic: name.allow(null),
});

/** `POST /auth/login`; an e-mail that cannot be one is as wrong as one that is not known. */
export const credentials = Joi.object<Credentials>({
  email: text('the e-mail of the account', (raw) => raw.trim().normalize('NFC'))
    .max(EMAIL_MAX)
    .required(),
  password: givenPassword.allow('').required(),
});

/** `PATCH /me`; roles, attributes and the rest are not the account's own to set. */
export const profileChange = Joi.object<ProfileChange>({
  firstName: name,
  lastName: name,
  patronymic: name.allow(null),
  email,
  currentPassword: givenPassword.description('needed to change the e-mail'),
})
  .or('firstName', 'lastName', 'patronymic', 'email')
  .messages({ 'object.missing': 'must have at least one of firstName, lastName, patronymic, email' });

/** `PUT /me/password` */
export const passwordChange = Joi.object<PasswordChange>({
  currentPassword: givenPassword.required(),
  newPassword: newPassword.required(),
  newPasswordRepeat: repeatOf('newPassword'),
});

/** `DELETE /me` */
export const confirmation = Joi.object<Confirmation>({ currentPassword: givenPassword.required() });

/** What is answered of an account. */
export const userShape = Joi.object({
  user: Joi.object({
    id: Joi.string().uuid(),
    email: Joi.string(),
    firstName: Joi.string(),
    lastName: Joi.string(),
    patronymic: Joi.string().allow(null),
    isActive: Joi.boolean(),
    roles: Joi.array().items(Joi.string()),
    attributes: Joi.object(),
    createdAt: Joi.date().iso(),
    updatedAt: Joi.date().iso(),
  }),
});

type Tidy = (raw: string, helpers: CustomHelpers<string>) => unknown;

/** A string that `tidy` makes the value of, or refuses; it stops at the first thing wrong, and long before it is slow. */
function text(description: string, tidy: Tidy): Joi.StringSchema {
  return Joi.string()
    .custom((raw: string, helpers) =>
      raw.length > MOST_UNITS ? helpers.message({ custom: 'is much too long' }) : tidy(raw, helpers),
    )
    .description(description)
    .prefs({ abortEarly: true });
}

/** Must be equal to the other field, both in NFC. */
function repeatOf(field: string): Joi.StringSchema {
  return text(`the same as ${field}`, (raw, { state, message }) =>
    raw.normalize('NFC') === state.ancestors[0][field]
      ? raw
      : message({ custom: `must be the same as ${field}` }),
  ).required();
}
