/** The guard at the modelled site: wishes change at random, and what it orders is sent as the agent's loop would. */
import {
  acknowledged,
  asked,
  CHARGER_LIMITS,
  type ChargerLimits,
  type ChargerLook,
  type ChargerTraits,
  elapsed,
  type Hold,
  type Phase,
  seen,
  sent,
  switchAcknowledged,
  switched,
  unacknowledged,
  unknownHold,
} from '../../../protocol/safety/charger-hold.ts'
import { maySwitchPhases } from '../../../protocol/safety/charger-rules.ts'
import {
  baseOf,
  type Fuse,
  type FuseReading,
  fusesAbove,
  guard,
  type PerPhase,
} from '../../../protocol/safety/site-guard.ts'
import { mono } from '../../../protocol/time.ts'
import { createModel, type ModelCharger } from './site-model.ts'

/** Where one defence is taken out: what the guard is told is not what is. */
export interface Doctor {
  readonly traits?: (traits: ChargerTraits) => ChargerTraits
  readonly limits?: Partial<ChargerLimits>
  readonly readings?: (readings: readonly FuseReading[], now: number) => readonly FuseReading[]
  readonly look?: (look: ChargerLook, hold: Hold) => ChargerLook
  readonly hold?: (hold: Hold) => Hold
  /** A command that was not acknowledged. */
  readonly failed?: (hold: Hold) => Hold
  readonly order?: (ma: number) => number
  readonly switchesLive?: boolean
}

interface Driven {
  readonly model: ModelCharger
  readonly traits: ChargerTraits
  hold: Hold
  wish: number
  phases: 1 | 3
  busy: boolean
  /** Ends the look that is under way. */
  giveWay: (() => void) | undefined
  toldAt: number
  lookedAt: number
}

const IDLE = { busy: false, giveWay: undefined, toldAt: -1e9, lookedAt: -1e9 }

/** 100 ms each. */
export function runGuardedSite(seed: number, steps: number, doctor: Doctor = {}) {
  const site = createModel(seed)
  const limits: ChargerLimits = { ...CHARGER_LIMITS, minOffMs: 0, minOnMs: 0, ...doctor.limits }
  const names = ['connection', 'garage']
  const fuses = new Map(
    site.fuses.map(({ rating, above, metered }, n): [string, Fuse] => [
      names[n]!,
      {
        ...{ name: names[n]!, under: above === undefined ? undefined : names[above], metered },
        ...{ ratingMa: rating as unknown as PerPhase, othersMa: metered ? [0, 0, 0] : [12_000, 12_000, 12_000] },
      },
    ]),
  )
  const driven = site.chargers.map((model): Driven => {
    const plain: ChargerTraits = {
      ...{ name: model.name, fuse: names[model.fuse]!, conductors: model.wires as Phase[], mostMa: model.most },
      ...{ stepMa: model.step, failsafeMa: model.failsafe, silenceMs: model.watchdog, powerOnMa: model.powerOn },
    }
    const traits = doctor.traits?.(plain) ?? plain
    const hold = unknownHold(traits, mono(0))
    return { model, traits, hold, wish: 0, phases: hold.phases, ...IDLE }
  })
  const readings = new Map<string, FuseReading[]>(names.map(name => [name, []]))
  let order = [...driven]

  function change(one: Driven, to: Hold): void {
    one.hold = doctor.hold?.(to) ?? to
  }

  function tell(one: Driven, ma: number): void {
    const now = site.now()
    one.busy = true
    one.toldAt = now
    change(one, sent(one.hold, ma, limits, mono(now)))
    site.tell(one.model, doctor.order?.(ma) ?? ma, answer => {
      one.busy = false
      if (answer === ma) change(one, acknowledged(one.hold, ma, mono(site.now())))
      else change(one, doctor.failed?.(one.hold) ?? unacknowledged(one.hold, answer))
    })
  }

  function look(one: Driven): void {
    const begun = mono(site.now())
    one.busy = true
    one.lookedAt = begun
    change(one, asked(one.hold, begun))
    one.giveWay = site.look(one.model, status => {
      one.busy = false
      one.giveWay = undefined
      if (status === undefined) return
      const { state, held, phases, draws, at } = status
      const told: ChargerLook = {
        ...{ state, limitMa: held, phases, begun, taken: mono(at) },
        ...(draws === undefined ? {} : { currentsMa: draws }),
      }
      change(one, seen(one.hold, doctor.look?.(told, one.hold) ?? told, one.traits, limits))
    })
  }

  function step(): void {
    const now = mono(site.now())
    for (const one of driven) change(one, elapsed(one.hold, one.traits, limits, now))
    if (site.random() < 0.01) order = [...driven].sort(() => site.random() - 0.5)
    const one = site.pick(driven)
    if (site.random() < 0.02)
      one.wish = site.pick([0, 6000, 9500, site.between(6000, one.traits.mostMa + 1), one.traits.mostMa])
    if (site.random() < 0.001 && one.traits.conductors.length === 3) one.phases = one.phases === 3 ? 1 : 3
    const charging = order.map(({ traits, hold, wish, phases }) => ({
      ...{ traits, hold },
      wishMa: phases === hold.phases && hold.switching === undefined ? wish : 0,
    }))
    const bases = new Map(
      [...fuses.values()].map(fuse => {
        const below = charging.filter(({ traits }) => fusesAbove(fuses, traits.fuse).includes(fuse))
        const known = readings.get(fuse.name)!
        return [fuse.name, baseOf(fuse, doctor.readings?.(known, now) ?? known, below, limits, now)]
      }),
    )
    const orders = guard(fuses, bases, charging)
    for (const one of driven) {
      const { hold } = one
      const { ma } = orders.get(one.traits.name)!
      if (one.giveWay !== undefined && hold.reach === 'heard' && ma < (hold.commandedMa ?? 0)) {
        one.giveWay()
        one.giveWay = undefined
        tell(one, ma)
        continue
      }
      if (one.busy) continue
      const unanswered = now - hold.heardAt
      // Out of reach, it is left alone until its watchdog must have struck.
      if (hold.reach === 'lost' && unanswered > 8000) continue
      if (one.phases !== hold.phases && (doctor.switchesLive || maySwitchPhases(hold).may)) {
        one.busy = true
        const phases = one.phases
        change(one, switched(hold, phases, now))
        site.switchPhases(one.model, phases, ok => {
          one.busy = false
          if (ok) change(one, switchAcknowledged(one.hold, phases))
        })
      } else if (ma !== hold.commandedMa || (hold.takenAt === undefined && now - one.toldAt > 1000)) {
        if (hold.reach !== 'struck' || now - one.toldAt > 3000) tell(one, ma)
      } else if (now - one.toldAt > one.model.watchdog / 3) tell(one, ma)
      else if (now - one.lookedAt >= 400) look(one)
    }
  }

  for (let n = 0; n < steps; n++) {
    site.advance(100)
    site.sample(({ taken, amps }) => {
      amps.forEach((currents, n) => {
        if (currents === undefined) return
        const known = readings.get(names[n]!)!
        known.push({ taken: mono(taken), currentsMa: currents as unknown as PerPhase })
        if (known.length > 5) known.shift()
      })
    })
    step()
    site.checkBlind()
  }
  return { verdicts: Object.fromEntries(site.verdicts), met: Object.fromEntries(site.met) }
}
