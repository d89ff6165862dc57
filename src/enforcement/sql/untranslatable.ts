/** Why a rule cannot be asked of a table. */

export class Untranslatable extends Error {
  override readonly name = 'Untranslatable';
}
