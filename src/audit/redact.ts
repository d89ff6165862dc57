/** Secrets, by name and by what they look like: left out of whatever is written down, for what is written cannot be taken out. */

const REDACTED = '[redacted]';

/** What a secret is called; `accesstoken` and `tokens` are, `secretary` and `hashtag` are not. */
const secretWord =
  /(password|passwd|passphrase|passcode|token|secret|hash|cookie|credential|authorization)(s|es)?\d*$/;
const secretKey = /(api|access|private|secret|signing|encryption)keys?\d*$/;

/** A last word that says something about a secret and is none, as in `tokenCount` or `passwordAge`. */
const aboutSecret = new Set(
  'age algorithm at changed count days enabled expired expires expiry id length level limit policy required type version'.split(
    ' ',
  ),
);

/** A session token, an argon2 hash, a private key, a JWT, a URL with a password: secrets whatever their name. */
const secretValue =
  /\bcst_[\w-]{43}|\$argon2(id?|d)\$|-----BEGIN [A-Z ]*PRIVATE KEY|\beyJ[\w-]+\.[\w-]+\.[\w-]+|:\/\/[^\s/:@]*:[^\s/@]+@/;

/** A copy in which what has a secret's name, or looks like one, is `[redacted]`. */
export function redact(value: unknown): unknown {
  return copyWith(value, isSecretName);
}

/**
 * The same for a part of the policy, where names are words of the language: what a rule says about `password` or `token`
 * must stay readable. Only what looks like a secret is left out.
 */
export function redactPolicy(value: unknown): unknown {
  return copyWith(value, () => false);
}

/** The same for words that somebody sent: all of them, as it cannot be told where in them the secret ends. */
export function redactText(text: string): string {
  return secretValue.test(text) ? REDACTED : text;
}

function copyWith(value: unknown, isSecret: (name: string) => boolean): unknown {
  if (typeof value === 'string') return redactText(value);
  if (Array.isArray(value)) return value.map((item) => copyWith(item, isSecret));
  if (value instanceof Date || typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, entry]) => [
    key,
    isSecret(key) ? REDACTED : copyWith(entry, isSecret),
  ]);
  return Object.fromEntries(entries);
}

/** Most names are none; asked of each fact of each decision that is written down. */
const mayBeSecret = /pass|token|secret|hash|cookie|credential|authorization|key/i;

/** Whether a word of the name is a secret's, and the last one does not say that it is only about one. */
export function isSecretName(name: string): boolean {
  if (!mayBeSecret.test(name)) return false;
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/);
  if (aboutSecret.has(words.at(-1) ?? '')) return false;
  return words.some((word) => secretWord.test(word)) || secretKey.test(words.join(''));
}
