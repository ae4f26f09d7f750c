/** The transactions between ledgers. */
import type { Kinds } from '../kind.ts'
import { applyCapacity, applyTariff } from './lines.ts'
import { applyAnchor, applyFollow } from './peers.ts'
import { applyClaim, applyRelease, applyReserve } from './reservation.ts'

export const networkKinds = {
  // Of 21 validators, 8 are more than a third of the power and 15 more than two thirds; a vote is checked once.
  follow: { gas: 16n, apply: applyFollow },
  anchor: { gas: 1n, apply: applyAnchor },
  capacity: { gas: 1n, apply: applyCapacity },
  tariff: { gas: 1n, apply: applyTariff },
  reserve: { gas: 1n, apply: applyReserve },
  claim: { gas: 1n, apply: applyClaim },
  release: { gas: 1n, apply: applyRelease },
} satisfies Partial<Kinds>
