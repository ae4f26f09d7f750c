/** Points of a store that are to be coins, or credit on the bill: redeemed as they come, for what the agreement says. */
import { addressOf } from '../../protocol/crypto/hash.ts'
import { POINTS } from '../../protocol/ledger/service-tables.ts'
import { accountId } from '../../protocol/ledger/state.ts'
import type { Part, PartOptions } from './part.ts'
import { proveRecord } from './prove-record.ts'

/** Points come a few times an hour at most. */
const LOOK_MS = 600_000
/** A tenth of a kWh: less is not worth a transaction. */
const LEAST = 100n

export interface RewardRedeemOptions extends Pick<PartOptions, 'signer' | 'energy' | 'timers' | 'health'> {
  readonly issuer: Uint8Array
}

export function createRewardRedeem({ signer, energy, timers, health, issuer }: RewardRedeemOptions): Part {
  const purse = `${accountId(issuer)}/${accountId(addressOf(signer.publicKey))}`
  let cancel = () => {}
  let busy = false

  async function redeem(): Promise<void> {
    if (busy) return
    busy = true
    const held = await proveRecord(energy.light, POINTS, purse)
    if (held.ok && held.value !== undefined && held.value.amount >= LEAST) {
      const { amount } = held.value
      const sent = await energy.account.submit({ kind: 'redeem', body: { issuer, amount } })
      health('store.redeem', sent.ok ? undefined : sent.fault)
    }
    busy = false
  }

  return {
    start() {
      cancel = timers.every(LOOK_MS, () => void redeem())
    },
    stop: () => cancel(),
  }
}
