/** Which passwords are refused: those that somebody would try first. */
import { invalidField } from '../errors.ts';

/** Whose password it is to be. */
export interface Person {
  email: string;
  firstName: string;
  lastName: string;
  patronymic?: string | null | undefined;
}

const PRODUCT_NAME = 'castellan';
/** Letters that may be left beside the words, as a share of all, for the password to be made of them. */
const LARGEST_REST = 0.25;

/**
 * Throws `invalid_request` at `pointer`, saying why, for a password that is
 * - on the shipped list of common passwords (49,233), without regard to case; or
 * - made of the person's own name, the parts of their e-mail, or the product's name. That is: with digits and
 *   punctuation left out, those words, in any order and number, are all but a quarter of its letters. Case, accents and
 *   the usual substitutes for letters (`C@ste11an`) do not hide them.
 * There are no composition rules: they make passwords worse (NIST SP 800-63B-4, 3.1.1.2).
 */
export async function refuseGuessable(password: string, pointer: string, person: Person): Promise<void> {
  const common = await commonPasswords();
  if (common.has(password.normalize('NFC').toLowerCase()))
    throw invalidField(pointer, 'is one of the most common passwords; choose one that nobody would guess');
  const source = guessable(person).find(({ words }) => isMadeOf(password, words));
  if (source) throw invalidField(pointer, `is made of ${source.what}; choose one that nobody would guess`);
}

let common: Promise<ReadonlySet<string>> | undefined;

/** Loaded when the first password is chosen: most processes that only check logins never need it. */
function commonPasswords(): Promise<ReadonlySet<string>> {
  common ??= import('@zxcvbn-ts/language-common').then(
    ({ dictionary }) => new Set(dictionary['passwords-common']),
  );
  return common;
}

function guessable({ email, firstName, lastName, patronymic }: Person): { what: string; words: string[] }[] {
  const names = wordsOf([firstName, lastName, patronymic ?? ''].join(' '));
  const mail = wordsOf(email);
  return [
    { what: 'the name of this product', words: [PRODUCT_NAME] },
    { what: 'your own name', words: names },
    { what: 'your e-mail', words: mail },
    { what: 'your name, your e-mail or the name of this product', words: [PRODUCT_NAME, ...names, ...mail] },
  ];
}

function isMadeOf(password: string, words: readonly string[]): boolean {
  if (isAllOf(password, words)) return true;
  return readings(password).some((text) => {
    const letters = lettersOf(text);
    // A space where a word was, so that what stood around it does not become a word.
    const rest = longestFirst(words).reduce((left, word) => left.replaceAll(word, ' '), letters);
    const left = [...rest.replaceAll(' ', '')].length;
    return rest !== letters && left <= [...letters].length * LARGEST_REST;
  });
}

/** A number of one's own has no letters to look at: it is the word itself, with nothing but signs beside it. */
function isAllOf(password: string, words: readonly string[]): boolean {
  const folded = fold(password).replace(/[^\p{L}\p{N}]/gu, '');
  return words.some((word) => word === folded);
}

function wordsOf(text: string): string[] {
  const folded = fold(text);
  const numbers = folded
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => /\p{N}/u.test(word) && [...word].length > 3);
  return [...folded.split(/[^\p{L}]+/u).filter(isTelling), ...numbers];
}

/** A single letter of an alphabet is in every password; a single sign of a script without case can be a whole name. */
function isTelling(word: string): boolean {
  return [...word].length > 1 || (word !== '' && word === word.toUpperCase());
}

function longestFirst(words: readonly string[]): string[] {
  return [...words].sort((a, b) => b.length - a.length);
}

/** Lower case, without accents, and without the differences between forms of a letter. */
function fold(text: string): string {
  return text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();
}

function lettersOf(text: string): string {
  return text.replace(/[^\p{L}]/gu, '');
}

/** The password as it stands, and with signs read as the letters they stand for; a 1 can be an l or an i. */
function readings(password: string): string[] {
  const read = (letters: Record<string, string>) =>
    fold(password.replace(/[013457@$!]/g, (sign) => letters[sign] ?? sign));
  return [fold(password), read({ ...substitutes, '1': 'l' }), read({ ...substitutes, '1': 'i' })];
}

const substitutes = { '0': 'o', '3': 'e', '4': 'a', '5': 's', '7': 't', '@': 'a', $: 's', '!': 'i' };
