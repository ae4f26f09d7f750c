/**
 * The answers of maple's grid meter come late, on the bus that its line meter is on, too. The defence is the Modbus master's; the judge holds each believed value against the wires.
 */
import type { MeterReading } from '../../drivers/ports.ts'
import { findValue, OBIS, towardZeroAt } from '../../protocol/telegram/obis.ts'
import { hungUp } from '../sim/devices.ts'
import type { MeterView } from '../sim/wires.ts'
import { closedDeal, flowingDeal, type MakeFault, notFlowing, openedAfter, settledText, VICTIM } from './fault-tools.ts'
import type { Stage } from './stage.ts'

const { line: LINE, seller: SELLER } = VICTIM
/** Answers come late for this long, virtual. */
const LATE_FOR_MS = 40_000
/** How late: more than 25 time-outs of this bus, and old enough for the registers to have moved on; believed once. */
const LATE_MS = 4_050
const LATE_SHARE = 0.3
/** Between two looks at the wires. */
const SAMPLE_MS = 20
/**
 * The time that a believed value may lie before its reading's own time: the batch of three requests, and what a busy
 * machine adds. An answer that was late by more is not the answer to what was asked.
 */
const BATCH_MS = 900

interface Sample extends MeterView {
  readonly at: number
}

export const lateModbusAnswer: MakeFault = (off, street) => ({
  seamsOf: site => (off && site === SELLER ? { lateAnswerDefence: false } : undefined),
  async strike() {
    const bench = street()
    const { running } = bench
    const target = await flowingDeal(bench, LINE)
    if (target === undefined) return notFlowing(LINE)
    const watch = watchReadings(bench)
    const { faults } = running.devices.get(SELLER)!.gridMeter!
    const at = running.clock.mono()
    Object.assign(faults, { lateShare: LATE_SHARE, lateMs: LATE_MS, lateQueued: false })
    await running.timers.sleep(LATE_FOR_MS)
    Object.assign(faults, { lateShare: 0, lateMs: 0, lateQueued: false })
    await running.timers.sleep(5_000)
    watch.stop()
    const { read, wrong } = watch
    const opened = openedAfter(bench, LINE, at) !== undefined
    const deal = await closedDeal(bench, target.hash)
    return {
      outcome: `${wrong.length} wrong of ${read()} believed readings${wrong.length > 0 ? ` (${wrong[0]})` : ''}, the line ${opened ? 'opened when its readings went stale' : 'went on with the readings that were sure'}, ${settledText(deal)}`,
      asExpected: wrong.length === 0 && deal?.state === 'settled',
    }
  },
})

/** Holds every believed reading of that meter against what the wires showed while it was being read. */
function watchReadings({ running }: Stage): { readonly wrong: string[]; read(): number; stop(): void } {
  const samples: Sample[] = []
  const wrong: string[] = []
  let read = 0
  let live = true
  const sample = () => {
    running.wires.advance()
    samples.push({ ...hungUp(running.wires.gridMeter(SELLER)), at: running.clock.mono() })
    while (samples[0]!.at < running.clock.mono() - 5_000) samples.shift()
  }
  sample()
  const cancel = running.timers.every(SAMPLE_MS, sample)
  running.agents.get(SELLER)!.metering.onReading((name, reading) => {
    if (!live || name !== 'grid') return
    read++
    sample()
    const fault = judge(reading, samples)
    if (fault !== undefined) wrong.push(fault)
  })
  return {
    wrong,
    read: () => read,
    stop: () => {
      live = false
      cancel()
    },
  }
}

/** Milli-units that a page's resolution takes away or adds. */
const SLACK = { voltage: 100, power: 1_000, energy: 1_000 }

function judge(reading: MeterReading, samples: readonly Sample[]): string | undefined {
  const during = samples.filter(({ at }) => at >= reading.takenMono - BATCH_MS && at <= reading.takenMono + BATCH_MS)
  const checks = [
    [OBIS.voltageL1, SLACK.voltage, (view: MeterView) => view.voltageMv],
    [OBIS.power, SLACK.power, (view: MeterView) => view.powerMw],
    [OBIS.energyExport, SLACK.energy, (view: MeterView) => Number(view.exported)],
  ] as const
  for (const [obis, slack, pick] of checks) {
    const value = findValue(reading.values, obis)
    if (value === undefined || during.length === 0) continue
    const shown = Number(towardZeroAt(value, -3))
    const seen = during.map(pick)
    const [least, most] = [Math.min(...seen) - slack, Math.max(...seen) + slack]
    if (shown < least || shown > most) return `${obis} read ${shown}, the wires had ${least} to ${most}`
  }
  return undefined
}
