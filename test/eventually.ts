/** What a starved machine needs at most for what takes a healthy one a moment. */
const PATIENCE_MS = 60_000

/**
 * Repeats a check until it passes, and is what it gives: what was done is seen when the machine has time for it, and no
 * fixed wait knows when that is. A check that does not pass at all fails with its own words.
 */
export async function eventually<T>(check: () => T | Promise<T>): Promise<T> {
  const late = performance.now() + PATIENCE_MS
  for (;;) {
    try {
      return await check()
    } catch (error) {
      if (performance.now() > late) throw error
    }
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}
