/** What is there already is used at once: to wait for it costs a request more than most of what it waits for. */

/** `use` of the value: now, or when it is there. Queries of Objection and Knex are waited for like promises. */
export function after<T, U>(value: T | PromiseLike<T>, use: (value: T) => U | Promise<U>): U | Promise<U> {
  return isAwaited(value) ? Promise.resolve(value).then(use) : use(value);
}

function isAwaited<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
