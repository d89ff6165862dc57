/** A list in one setting, with commas between. */

/** Its items, without the space around them; of nothing none. */
export function itemsOf(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean);
}
