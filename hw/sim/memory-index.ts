/** An index in memory, as a simulated site has it: every life begins with an empty one, which its journal fills. */
import type { Index } from '../../drivers/ports.ts'
import { done, ok } from '../../protocol/result.ts'

export function createMemoryIndex(): Index {
  const values = new Map<string, Uint8Array>()
  return {
    lost: undefined,
    get: async key => ok(values.get(key)),
    range: async ({ from, to, reverse = false, limit = Number.POSITIVE_INFINITY }) => {
      const found = [...values].filter(([key]) => key >= from && key < to).sort(([a], [b]) => (a < b ? -1 : 1))
      return ok((reverse ? found.reverse() : found).slice(0, limit))
    },
    write: async entries => {
      for (const [key, value] of entries) {
        if (value === undefined) values.delete(key)
        else values.set(key, value)
      }
      return done
    },
    renew: async () => {
      values.clear()
      return done
    },
    settle: async () => {},
    close: async () => {},
  }
}
