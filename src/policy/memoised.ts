/** A function that computes the value for each key once. */
export function memoised<K, T>(find: (key: K) => T): (key: K) => T {
  const known = new Map<K, { value: T }>()
  return (key) => {
    const before = known.get(key)
    if (before !== undefined) return before.value
    const value = find(key)
    known.set(key, { value })
    return value
  }
}
