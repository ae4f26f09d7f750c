/** A binary heap: what comes before all others is at hand, whatever the order in which things were put in. */
export interface Heap<T> {
  /** What comes first; undefined where there is nothing. */
  first(): T | undefined
  push(item: T): void
  /** Takes what comes first. */
  take(): T | undefined
}

/** `before` is a strict order; which of two equals comes first is not said. */
export function createHeap<T>(before: (a: T, b: T) => boolean): Heap<T> {
  const items: T[] = []
  return {
    first: () => items[0],
    push(item) {
      let at = items.length
      while (at > 0) {
        const parent = (at - 1) >> 1
        if (!before(item, items[parent]!)) break
        items[at] = items[parent]!
        at = parent
      }
      items[at] = item
    },
    take() {
      const first = items[0]
      const last = items.pop()
      if (last === undefined || items.length === 0) return first
      let at = 0
      for (;;) {
        let child = 2 * at + 1
        if (child >= items.length) break
        if (child + 1 < items.length && before(items[child + 1]!, items[child]!)) child++
        if (!before(items[child]!, last)) break
        items[at] = items[child]!
        at = child
      }
      items[at] = last
      return first
    },
  }
}
