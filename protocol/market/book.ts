/**
 * The order book of one slot as one board collects it. Which orders are in it does not depend on the order in which they
 * came: a pseudonym that signs two different orders for one side of a slot has none there, whichever was first.
 */
import { equalBytes, toHex } from '../bytes.ts'
import { done, fail, type Result } from '../result.ts'
import type { Instant } from '../time.ts'
import { type AdmissionFault, admit, type BookTerms, makerOf, type Order } from './order.ts'

export type BookFault =
  | AdmissionFault
  /** Two orders of one pseudonym for one side: neither counts. */
  | { readonly code: 'order.double'; readonly first: string; readonly second: string }
  | { readonly code: 'order.book-full'; readonly most: number }

export interface OrderBook {
  /** Takes a verified order. The same order again, as from a second broker, is no fault. */
  add(order: Order, now: Instant): Result<undefined, BookFault>
  /** Those that count. */
  orders(): readonly Order[]
}

/** `most` bounds the memory that strangers can take: pseudonyms, those that lost their orders included. */
export function openBook(terms: BookTerms, most: number): OrderBook {
  const byMaker = new Map<string, { readonly id: Uint8Array; readonly order: Order | undefined }>()
  return {
    add(order, now) {
      const admitted = admit(order, terms, now)
      if (!admitted.ok) return admitted
      const maker = makerOf(order)
      const before = byMaker.get(maker)
      if (before === undefined) {
        if (byMaker.size >= most) return fail({ code: 'order.book-full', most })
        byMaker.set(maker, { id: order.id, order })
        return done
      }
      if (before.order !== undefined && equalBytes(before.id, order.id)) return done
      byMaker.set(maker, { id: before.id, order: undefined })
      return fail({ code: 'order.double', first: toHex(before.id), second: toHex(order.id) })
    },
    orders: () => [...byMaker.values()].flatMap(({ order }) => order ?? []),
  }
}
