/**
 * From one car to another at one station: a transfer from begin to end, and one for each thing that can go wrong in it. Judged by
 * the wires between the two ports: what flowed, through whom, and how long it went on.
 */
import { runTransfer } from '../../agent/charging/car-to-car-run.ts'
import { drainPromises } from '../../drivers/drain.ts'
import { milliwattHours } from '../../protocol/quantity.ts'
import {
  type Side,
  TRANSFER_LIMITS,
  type TransferLimits,
  type TransferTerms,
} from '../../protocol/safety/car-to-car.ts'
import { later } from '../../protocol/time.ts'
import { type CarStation, createCarStation } from '../sim/car-station.ts'
import { createSimTime } from '../sim/clock.ts'
import { seededRandom } from '../sim/random.ts'
import type { Scenario } from './scenario.ts'

const ORIGIN_MS = 1_795_000_000_000
const POWER_MW = 7_000_000
const WIRE_LOSS_PERMILLE = 4
/** Agreed: a little more than the wires take. */
const LOSS_PERMILLE = 6
const LONG_MS = 1_200_000
/**
 * From what goes wrong to no power at either port, at the wires: a silent meter is known after 1.5 s and half a second between
 * two of its readings, a silent port falls back by its own watchdog of 2 s; then a step, and 7 kW at 10 kW a second.
 */
const STOP_WITHIN_MS = 3_000
/** A car that stops and goes on telling that it charges is told by the other's power only, once it is no slow one any more. */
const UNTOLD_WITHIN_MS = 8_000
const UNTOLD = 'stopped by itself, taker'
const KILLED = 'agent killed'
/** Under it a converter is at rest. */
const REST_MW = 50_000

interface TransferRun {
  readonly station: CarStation
  readonly transfer: ReturnType<typeof runTransfer>
  readonly codes: () => readonly string[]
  advance(ms: number): Promise<void>
  /** The highest power at either port now. */
  flowing(): number
  /** Ends what is agreed. */
  revoke(): void
  /** As kill -9 does. */
  killAgent(): void
}

/** `coordinated: false`: the taker is told the giver's whole set point from the start, whatever the giver's meter shows. */
export function startTransfer(
  energyWh: bigint,
  { coordinated = true, limits = TRANSFER_LIMITS }: { coordinated?: boolean; limits?: TransferLimits } = {},
): TransferRun {
  const { clock, timers, advance, partition } = createSimTime(ORIGIN_MS, drainPromises)
  const agent = partition()
  let flowing = 0
  const station = createCarStation({
    ...{ clock, timers, wireLossPermille: WIRE_LOSS_PERMILLE },
    onTick: (giverMw, takerMw) => {
      flowing = Math.max(giverMw, takerMw)
    },
  })
  const terms: TransferTerms = {
    ...{ start: clock.now(), end: later(clock.now(), LONG_MS), energy: milliwattHours(energyWh * 1000n) },
    ...{ powerMw: POWER_MW, lossPermille: LOSS_PERMILLE },
  }
  let agreed: { terms: TransferTerms; leaseUntil: ReturnType<typeof clock.mono> } | undefined = {
    terms,
    leaseUntil: later(clock.mono(), LONG_MS),
  }
  let codes: readonly string[] = []
  const { giver, taker } = station
  const transfer = runTransfer({
    giver,
    taker: coordinated ? taker : { ...taker, setPower: mw => taker.setPower(mw === 0 ? 0 : POWER_MW) },
    ...{ agreed: () => agreed, clock: agent.clock, timers: agent.timers, limits },
    onOver: because => {
      codes = because.map(({ code, side }) => (side === undefined ? code : `${code} ${String(side)}`))
    },
  })
  return {
    station,
    transfer,
    codes: () => codes,
    advance,
    flowing: () => flowing,
    revoke: () => {
      agreed = undefined
    },
    killAgent: agent.stop,
  }
}

/** What can go wrong on one side. */
const STRIKES = {
  fault: port => port.trip('F'),
  unplugged: port => port.trip('A'),
  'stopped by itself': port => port.sulk(),
  silent: port => port.silence(),
  'blind meter': port => port.blindMeter(),
  'register back': port => port.turnBack(50_000n),
} as const satisfies Readonly<Record<string, (port: CarStation['giver']) => void>>

interface Stopped {
  /** At the wires, until neither port moves anything. */
  readonly stop_ms: number
  readonly because: readonly string[]
}

async function struckTransfer(strike: (run: TransferRun) => void, afterMs: number): Promise<Stopped> {
  const run = startTransfer(10_000n)
  await run.advance(afterMs)
  if (run.flowing() < POWER_MW / 2) throw new Error('nothing flows before the strike')
  strike(run)
  let stopMs = 0
  do {
    await run.advance(10)
    stopMs += 10
  } while (run.flowing() > REST_MW && stopMs < 60_000)
  await run.advance(5_000)
  return { stop_ms: run.flowing() > REST_MW ? 60_000 : stopMs, because: run.codes() }
}

export const carToCar: Scenario = {
  name: 'car-to-car',
  what: 'one car charges another at one station: what one gives the other takes, and either one stops both',
  apart: true,
  async run({ seed, onProgress }) {
    const random = seededRandom(seed)
    const calm = startTransfer(1_000n)
    await calm.advance(LONG_MS)
    const { booked } = calm.transfer
    const { given, taken, carried, loss, fromStation } = booked()
    const supply = calm.station.supply()
    onProgress(`${Number(taken) / 1000} Wh from car to car`)

    const stops: Record<string, Stopped> = {}
    const calls = Object.entries(STRIKES).flatMap(([name, strike]) =>
      (['giver', 'taker'] as const).map(
        (side: Side) => [`${name}, ${side}`, (run: TransferRun) => strike(run.station[side])] as const,
      ),
    )
    const others = [
      ['contract ends', (run: TransferRun) => run.revoke()],
      [KILLED, (run: TransferRun) => run.killAgent()],
    ] as const
    for (const [name, strike] of [...calls, ...others])
      stops[name] = await struckTransfer(strike, 20_000 + Math.floor(10_000 * random()))
    const told = Object.entries(stops).filter(([name]) => name !== UNTOLD)

    const careless = startTransfer(1_000n, { coordinated: false })
    await careless.advance(LONG_MS)

    const facts = {
      given_wh: Number(given) / 1000,
      taken_wh: Number(taken) / 1000,
      loss_wh: Number(loss) / 1000,
      from_station_wh: Number(fromStation) / 1000,
      station_gave_wh: Number(supply.imported) / 1000,
      station_took_wh: Number(supply.exported) / 1000,
      over_because: calm.codes(),
      residue: Number(calm.station.residue()),
      stops,
      stop_ms_worst: Math.max(...told.map(([, { stop_ms }]) => stop_ms)),
      stop_ms_stated: STOP_WITHIN_MS,
      untold_stop_ms: stops[UNTOLD]!.stop_ms,
      untold_stop_ms_stated: UNTOLD_WITHIN_MS,
      careless_station_gave_wh: Number(careless.station.supply().imported) / 1000,
    }
    const problems: string[] = []
    const hold = (held: boolean, what: string) => void (held || problems.push(what))
    const [meterGiven, meterTaken] = [calm.station.giver.counted(), calm.station.taker.counted()]
    hold(given === meterGiven && taken === meterTaken, 'what is booked is not what the meters counted')
    hold(given === carried + loss && taken === carried + fromStation, 'a Wh is booked twice, or not at all')
    hold(calm.station.residue() === 0n, 'energy came from nowhere')
    hold(taken >= 1_000_000n && taken < 1_010_000n, 'another energy than agreed was delivered')
    hold(calm.codes().join() === 'transfer.delivered', 'the transfer did not end by what was delivered')
    hold(supply.imported < TRANSFER_LIMITS.slackMwh, 'the station gave what the car should have given')
    for (const [name, { stop_ms, because }] of Object.entries(stops)) {
      hold(because.length > 0 || name === KILLED, `${name}: not noticed`)
      const within = name === UNTOLD ? UNTOLD_WITHIN_MS : STOP_WITHIN_MS
      hold(stop_ms <= within, `${name}: power flowed for ${stop_ms} ms`)
    }
    hold(
      careless.station.supply().imported > 5n * supply.imported,
      'set points that do not belong together cost nothing',
    )
    return { ok: problems.length === 0, scenario: 'car-to-car', seed, facts, problems }
  },
}
