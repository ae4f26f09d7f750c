/** What the meter of a home measures: three phases, sun on the roof, counters that rise with what flows. From a seed. */
import type { Clock } from '../../drivers/ports.ts'
import type { Power } from '../../protocol/quantity.ts'
import { homeLoad, solarGeneration } from './profile.ts'
import type { Measured, Phase } from './register-image.ts'

/** How a home's load lies on its phases; the inverter feeds all three alike. */
const SHARES = [0.5, 0.3, 0.2] as const
const AVERAGE_W = 600
const PEAK_W = 4_000
/** Volts and hertz wander around their nominal values, a turn each so many seconds. */
const WANDER = { voltageMv: 1_800, everyS: 47, frequencyMhz: 25, frequencyS: 31 }
/** A tenth of the power of a home with its motors and power supplies. */
const REACTIVE_SHARE = 0.1
/** Milliwatt-milliseconds in a milliwatt-hour. */
const PER_MWH = 3_600_000n

/**
 * Values of the moment each time it is asked; the energies are those that flowed since it was made, and what was before. With
 * `steady` that power flows at all times, import positive, instead of what a home takes and its roof gives.
 */
export function createHomeMeter(seed: number, clock: Clock, steady?: Power): () => Measured {
  const load = steady === undefined ? homeLoad(seed, AVERAGE_W) : () => Math.max(0, steady)
  const sun = steady === undefined ? solarGeneration(seed, PEAK_W) : () => Math.max(0, -steady)
  // As if it had hung there for some years.
  const before = { imported: 9_876_543_000n + BigInt(seed % 1000) * 1_000_000n, exported: 4_321_098_000n }
  const flowed = { imported: 0n, exported: 0n, reactive: 0n }
  let last = clock.mono()
  let powerMw = powerNow()

  function powerNow(): number {
    return load(clock.now()) - sun(clock.now())
  }

  function phaseOf(share: number, i: number): Phase {
    const turn = (2 * Math.PI * clock.mono()) / 1000
    const voltageMv = Math.round(230_000 + WANDER.voltageMv * Math.sin(turn / WANDER.everyS + i + seed))
    const phaseMw = Math.round(load(clock.now()) * share - sun(clock.now()) / SHARES.length)
    const currentMa = Math.round((1000 * Math.hypot(phaseMw, REACTIVE_SHARE * phaseMw)) / voltageMv)
    return { voltageMv, currentMa, powerMw: phaseMw }
  }

  return () => {
    const now = clock.mono()
    const energy = BigInt(Math.round((now - last) * Math.abs(powerMw)))
    flowed[powerMw >= 0 ? 'imported' : 'exported'] += energy
    flowed.reactive += energy / 10n
    last = now
    powerMw = powerNow()
    const [first, second, third] = SHARES.map(phaseOf) as [Phase, Phase, Phase]
    const imported = before.imported + flowed.imported / PER_MWH
    const exported = before.exported + flowed.exported / PER_MWH
    return {
      ...first,
      currentMa: first.currentMa + second.currentMa + third.currentMa,
      powerMw: first.powerMw + second.powerMw + third.powerMw,
      frequencyMhz: Math.round(
        50_000 + WANDER.frequencyMhz * Math.sin((2 * Math.PI * now) / 1000 / WANDER.frequencyS + seed),
      ),
      imported,
      exported,
      phases: [first, second, third],
      reactiveMvar: Math.round(REACTIVE_SHARE * Math.abs(powerMw)),
      reactive: { imported: before.imported / 10n + flowed.reactive / PER_MWH, exported: before.exported / 10n },
      firstTariff: { imported: before.imported / 3n, exported: before.exported / 3n },
    }
  }
}
