/**
 * What is in a store or in a car's battery, counted by the meters around it from what was in it when it first started: what it
 * took, less what is lost on the way in, less what it gave and lost on the way out. Both roundings go against what is said to
 * be there.
 */

import { type Energy, type WattHours, wattHours } from '../../protocol/quantity.ts'
import { registerEnergy } from '../../protocol/reading/reading.ts'
import { big, decodeAs, encodeAs, list, record } from '../../protocol/record.ts'
import { OBIS } from '../../protocol/telegram/obis.ts'
import { meterId } from '../../protocol/trade/contract.ts'
import type { BatteryConfig } from '../config/site-config.ts'
import type { Part, PartOptions } from './part.ts'

const LOOK_MS = 5_000

interface Base {
  readonly stored: WattHours
  /** In the order of the meters' names. */
  readonly meters: readonly Counted[]
}

interface Counted {
  /** Its serial: another meter counts from another number. */
  readonly meter: string
  readonly imported: Energy
  readonly exported: Energy
}

/** As many as a site has lines, and its grid meter. */
const MOST_METERS = 32
const MAX_BYTES = 32 + MOST_METERS * 96
const register = big<Energy>(0n, 2n ** 63n - 1n)
const counted = record({ meter: [1, meterId], imported: [2, register], exported: [3, register] })
const base = record({ stored: [1, big<WattHours>(0n, 2n ** 53n)], meters: [2, list(counted, 1, MOST_METERS)] })

export interface StoreCharge extends Part {
  /** Undefined where it is not known. */
  stored(): WattHours | undefined
}

export function createStoreCharge(
  options: Pick<PartOptions, 'metering' | 'timers' | 'health' | 'record'>,
  meters: readonly string[],
  {
    stored,
    capacity,
    chargePermille,
    dischargePermille,
  }: Omit<BatteryConfig, 'reserve' | 'stored'> & { readonly stored?: WattHours },
): StoreCharge {
  let from: Base | undefined
  /** What was counted from is kept and cannot be read: what the configuration says was long ago. */
  let lost = false
  let cancel = () => {}

  function registers(): readonly Counted[] | undefined {
    const read = meters.map((name): Counted | undefined => {
      const reading = options.metering.latest(name)?.reading
      if (reading === undefined) return undefined
      const imported = registerEnergy({ registers: reading.values }, OBIS.energyImport)
      const exported = registerEnergy({ registers: reading.values }, OBIS.energyExport)
      return imported === undefined || exported === undefined
        ? undefined
        : { meter: reading.meterId, imported, exported }
    })
    return read.every(one => one !== undefined) ? read : undefined
  }

  async function begin(): Promise<void> {
    const now = registers()
    if (from !== undefined || lost || stored === undefined || now === undefined) return
    from = { stored, meters: now }
    const kept = await options.record(encodeAs(base, from))
    options.health('storage.charge', kept.ok ? undefined : kept.fault)
    if (!kept.ok) from = undefined
  }

  /** What the meters have counted since, in and out; undefined where one was changed or set back. */
  function moved(
    before: readonly Counted[],
    now: readonly Counted[],
  ): readonly [taken: bigint, given: bigint] | undefined {
    const same = now.every(({ meter, imported, exported }, at) => {
      const from = before[at]
      return meter === from?.meter && imported >= from.imported && exported >= from.exported
    })
    if (!same || now.length !== before.length) {
      options.health('storage.charge', { code: 'storage.other-meter', meters: now.map(({ meter }) => meter).join(' ') })
      return undefined
    }
    const sum = (of: 'imported' | 'exported') => now.reduce((all, one, at) => all + one[of] - before[at]![of], 0n)
    return [sum('imported'), sum('exported')]
  }

  return {
    restore(records) {
      for (const one of records) {
        const read = decodeAs(base, one, 'store-charge', MAX_BYTES)
        if (read.ok) from = read.value
        else {
          lost = true
          options.health('storage.charge', read.fault)
        }
      }
    },
    start() {
      cancel = options.timers.every(LOOK_MS, () => void begin())
    },
    stop: () => cancel(),
    stored() {
      const now = registers()
      const since = from === undefined || now === undefined ? undefined : moved(from.meters, now)
      if (from === undefined || since === undefined) return undefined
      const taken = (since[0] * BigInt(chargePermille)) / 1_000_000n
      const per = BigInt(dischargePermille)
      const given = (since[1] + per - 1n) / per
      const left = from.stored + taken - given
      return wattHours(left < 0n ? 0n : left > capacity ? capacity : left)
    },
  }
}
