/**
 * Two cars at one station: batteries, converters, the wires between the ports and the station's own supply, and the ports' meters
 * and controllers. Knows nothing of contracts. Energy is integrated in whole milliwatt-milliseconds, so that its sum comes
 * out exactly: what left one battery is in the other, in losses, or went through the supply.
 *
 *     battery - converter - meter - wire - station - wire - meter - converter - battery
 *                                           supply
 */
import type { TransferPort } from '../../agent/charging/car-to-car-run.ts'
import type { Clock, PilotState, Timers } from '../../drivers/ports.ts'
import { type Energy, milliwattHours } from '../../protocol/quantity.ts'
import { fail, ok } from '../../protocol/result.ts'
import type { Side } from '../../protocol/safety/car-to-car.ts'
import { mono } from '../../protocol/time.ts'

export interface CarStationOptions {
  readonly clock: Clock
  readonly timers: Timers
  readonly wireLossPermille: number
  /** Once a tick, with the powers at the two meters, out of the giver and into the taker. */
  readonly onTick?: (giverMw: number, takerMw: number) => void
}

export interface SimPort extends TransferPort {
  /** Out of the giver or into the taker, as its meter counts it. */
  counted(): Energy
  /** The controller neither hears nor answers. */
  silence(): void
  /** The meter says nothing any more. */
  blindMeter(): void
  /** The meter's register is this much lower. */
  turnBack(mwh: bigint): void
  /** Opens its contactor by itself: a fault, or a plug that was pulled. */
  trip(state: 'A' | 'F'): void
  /** Opens its contactor, and goes on telling that it charges. */
  sulk(): void
}

export interface CarStation {
  readonly giver: SimPort
  readonly taker: SimPort
  /** Through the station's own supply, in mWh. */
  supply(): { readonly imported: Energy; readonly exported: Energy }
  /** What left the giver's battery less what came into the taker's, less losses and the supply's part; 0 or the model is wrong. */
  residue(): bigint
}

const TICK_MS = 10
/** A meter that is asked twice a second. */
const METER_MS = 500
const WATCHDOG_MS = 2_000
/** 10 kW a second: cars are slower or faster, and within IEC 61851-1's 5 s. */
const RAMP_MW_PER_TICK = 100_000
/** Of what goes through a converter. */
const CONVERTER_LOSS_PERMILLE = 45n
const ANSWER_MS = 20
const PER_MWH = 3_600_000n

const inMwh = (mwms: bigint): Energy => milliwattHours(mwms / PER_MWH)

export function createCarStation(options: CarStationOptions): CarStation {
  const { clock, timers, onTick } = options
  const wireLoss = BigInt(options.wireLossPermille)
  const total = { supplyIn: 0n, supplyOut: 0n, wires: 0n, converters: 0n, fromBattery: 0n, toBattery: 0n }
  const giver = simPort('giver', clock, timers)
  const taker = simPort('taker', clock, timers)

  timers.every(TICK_MS, () => {
    const [out, into] = [BigInt(giver.tick()), BigInt(taker.tick())]
    onTick?.(Number(out), Number(into))
    const ms = BigInt(TICK_MS)
    const fromBattery = (out * 1000n) / (1000n - CONVERTER_LOSS_PERMILLE)
    const toBattery = (into * (1000n - CONVERTER_LOSS_PERMILLE)) / 1000n
    const wires = (out * wireLoss) / 1000n
    const supply = into + wires - out
    total.fromBattery += fromBattery * ms
    total.toBattery += toBattery * ms
    total.converters += (fromBattery - out + into - toBattery) * ms
    total.wires += wires * ms
    if (supply > 0n) total.supplyIn += supply * ms
    else total.supplyOut -= supply * ms
  })

  return {
    giver: giver.port,
    taker: taker.port,
    supply: () => ({ imported: inMwh(total.supplyIn), exported: inMwh(total.supplyOut) }),
    residue: () =>
      total.fromBattery + total.supplyIn - total.toBattery - total.converters - total.wires - total.supplyOut,
  }
}

function simPort(side: Side, clock: Clock, timers: Timers): { readonly port: SimPort; tick(): number } {
  let wanted = 0
  let renewed = clock.mono()
  let powerMw = 0
  let moved = 0n
  let turned = 0n
  let [isSilent, isBlind, isOpen] = [false, false, false]
  let shown: PilotState | undefined
  let last: ReturnType<TransferPort['reading']>

  timers.every(METER_MS, () => {
    if (!isBlind) last = { powerMw, energy: milliwattHours(inMwh(moved) - turned), takenMono: clock.mono() }
  })
  const answer = async <T>(value: () => T) => {
    await timers.sleep(ANSWER_MS)
    return isSilent ? fail({ code: 'port.no-answer', port: side }) : ok(value())
  }
  const stateNow = (): PilotState => shown ?? (wanted > 0 ? 'C' : 'B')

  return {
    tick: () => {
      if (clock.mono() - renewed >= WATCHDOG_MS) wanted = 0
      // An open contactor is at once; a converter takes its time.
      if (isOpen) powerMw = 0
      else powerMw += Math.max(-RAMP_MW_PER_TICK, Math.min(RAMP_MW_PER_TICK, wanted - powerMw))
      moved += BigInt(powerMw) * BigInt(TICK_MS)
      return powerMw
    },
    port: {
      name: side,
      watchdogMs: WATCHDOG_MS,
      setPower: mw =>
        answer(() => {
          // A port for one way only: the other sign is 0.
          wanted = Math.max(0, side === 'giver' ? -mw : mw)
          renewed = clock.mono()
        }),
      look: () => {
        const takenMono = mono(clock.mono())
        return answer(() => ({ state: stateNow(), takenMono }))
      },
      reading: () => last,
      counted: () => inMwh(moved),
      silence: () => {
        isSilent = true
      },
      blindMeter: () => {
        isBlind = true
      },
      turnBack: mwh => {
        turned += mwh
      },
      trip: state => {
        isOpen = true
        shown = state
      },
      sulk: () => {
        isOpen = true
        shown = 'C'
      },
    },
  }
}
