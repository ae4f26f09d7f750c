/** `npm run bench:modbus`: how much of what a serial wire allows each master gets, and whether it keeps the silences. */
import { createSystemTime } from '../../drivers/clock.ts'
import { EASTRON_SDM630 } from '../../drivers/meters/eastron-sdm630.ts'
import { createModbusMeter } from '../../drivers/meters/modbus-meter.ts'
import type { Span } from '../../drivers/meters/page.ts'
import { planReads, requestCost } from '../../drivers/meters/plan.ts'
import type { SlaveStats } from '../../hw/sim/modbus-slave.ts'
import { channelsOf } from '../../hw/sim/page-bank.ts'
import { must } from '../../protocol/result.ts'
import { type Contestant, race, type Timed } from './measure.ts'
import { openMaster, openSerial, type Reader, STACKS, type Stack } from './peers.ts'
import { type BenchOptions, type Row, rateRow, runBench } from './report.ts'
import { type SlaveProcess, startSlave } from './slave-process.ts'
import type { SlaveTask } from './wire-slave.ts'

const BAUDS = [9_600, 19_200, 115_200] as const
const LENGTHS = [2, 10, 60] as const
/** 8N1. */
const BITS = 10
/** The design's figures: shares to 19,200 baud and above. */
const ASKED: Readonly<Record<number, readonly [slow: number, fast: number]>> = { 10: [95, 90], 60: [97, 95] }
const TIMEOUT_MS = 1_000
const PAGE = EASTRON_SDM630

const characterMs = (baud: number): number => (BITS * 1000) / baud
/** Serial Line V1.02, 2.5.1.1: 3.5 characters, 1.75 ms above 19,200 baud. */
const silenceMs = (baud: number): number => (baud > 19_200 ? 1.75 : 3.5 * characterMs(baud))
/** A read of so many registers, the silence before it and a turnaround as long. */
const wireMs = (registers: number, baud: number): number =>
  (13 + 2 * registers) * characterMs(baud) + 2 * silenceMs(baud)

interface Cell {
  readonly id: string
  readonly stack: Stack
  readonly baud: number
  readonly registers: number
}

const cells: readonly Cell[] = BAUDS.flatMap(baud =>
  LENGTHS.flatMap(registers => STACKS.map(stack => ({ id: `${stack}.${baud}.${registers}`, stack, baud, registers }))),
)

/** Lines of the slave, in the order of its task. */
const places = BAUDS.flatMap(baud => STACKS.map(stack => ({ baud, stack })))

interface Kept {
  silences: number
  breaches: number
}

async function bench({ quick, smoke }: BenchOptions): Promise<readonly Row[]> {
  const sampleMs = smoke ? 20 : quick ? 350 : 2_000
  const rounds = smoke ? 1 : quick ? 2 : 7
  const task: SlaveTask = {
    lines: places.map(({ baud }) => ({
      ...{ baud, turnaroundMs: silenceMs(baud), bank: PAGE.name, units: [1], faults: {} },
    })),
  }
  const slave = await startSlave<readonly string[]>('wire', task)
  try {
    return [...(await wireRows(slave, sampleMs, rounds)), ...(await pageRows(slave, sampleMs, rounds))]
  } finally {
    await slave.close()
  }
}

async function wireRows(
  slave: SlaveProcess<readonly string[]>,
  sampleMs: number,
  rounds: number,
): Promise<readonly Row[]> {
  const readers = await Promise.all(
    places.map(({ baud, stack }, i) => openSerial(stack, { path: slave.told[i]!, baud, timeoutMs: TIMEOUT_MS })),
  )
  const kept = new Map(cells.map(({ id }): [string, Kept] => [id, { silences: 0, breaches: 0 }]))
  const lost = new Map<string, number>()
  const timed = await race(
    cells.map(({ id, stack, baud, registers }): Contestant => {
      const line = places.findIndex(place => place.baud === baud && place.stack === stack)
      const reader = readers[line]!
      return {
        name: id,
        clock: 'wall',
        // The read before the first that counts brings the silence that it waits for.
        prepare: async () => {
          await reader.read(1, 'input', 0, registers)
          await slave.ask<SlaveStats>(`${line}`)
        },
        run: async () => {
          const { count, missed } = await readFor(reader, registers, sampleMs)
          const { silences, breaches } = await slave.ask<SlaveStats>(`${line}`)
          const sum = kept.get(id)!
          sum.silences += silences
          sum.breaches += breaches
          lost.set(id, (lost.get(id) ?? 0) + missed)
          return count
        },
      }
    }),
    { rounds, sampleMs: 0 },
  )
  await Promise.all(readers.map(reader => reader.close()))
  return cells.map(cell => wireRow(cell, timed.get(cell.id)!, kept.get(cell.id)!, lost.get(cell.id)!))
}

async function readFor(reader: Reader, registers: number, ms: number): Promise<{ count: number; missed: number }> {
  const end = performance.now() + ms
  let count = 0
  let missed = 0
  do {
    const bytes = await reader.read(1, 'input', 0, registers)
    if (bytes?.length === 2 * registers) count++
    else missed++
  } while (performance.now() < end)
  return { count, missed }
}

function wireRow({ id, stack, baud, registers }: Cell, timed: Timed, { silences, breaches }: Kept, lost: number): Row {
  const limit = 1000 / wireMs(registers, baud)
  const asked = ASKED[registers]?.[baud > 19_200 ? 1 : 0]
  const broken = silences === 0 ? 0 : (100 * breaches) / silences
  return rateRow(
    {
      id,
      what: `${stack}: ${registers} registers at ${baud}`,
      unit: 'req/s',
      floor: { what: 'legal wire limit', value: limit, unit: 'req/s', share: timed.median / limit },
      note: `wall; ${breaches} of ${silences} silences too short (${broken.toFixed(1)} %)${lost > 0 ? `, ${lost} reads lost` : ''}`,
      ...(asked === undefined || stack !== 'tieline' ? {} : { asked: `${asked} %, breaches under 0.1 %` }),
    },
    timed,
  )
}

/** All that the page has, identity included: ours by its plan, the others value by value as their examples do. */
async function pageRows(
  slave: SlaveProcess<readonly string[]>,
  sampleMs: number,
  rounds: number,
): Promise<readonly Row[]> {
  const baud = 9_600
  const ours = places.findIndex(place => place.baud === baud && place.stack === 'tieline')
  const theirs = places.findIndex(place => place.baud === baud && place.stack === 'modbus-serial')
  const master = await openMaster({ path: slave.told[ours]!, baud, timeoutMs: TIMEOUT_MS })
  const other = await openSerial('modbus-serial', { path: slave.told[theirs]!, baud, timeoutMs: TIMEOUT_MS })
  const meter = createModbusMeter({
    master,
    page: PAGE,
    unit: 1,
    clock: createSystemTime().clock,
    characterMs: characterMs(baud),
  })
  const spans: readonly Span[] = channelsOf(PAGE).map(channel => PAGE.registers[channel]!)
  const single = [PAGE.identity, ...spans]
  const plan = planReads(spans, {
    maxRegisters: PAGE.maxRegisters,
    requestCost: requestCost(characterMs(baud), silenceMs(baud), PAGE.turnaroundMs),
  })!
  const limitMs = [PAGE.identity, ...plan].reduce((sum, { count }) => sum + wireMs(count, baud), 0)
  const requests = new Map<string, number>()
  const contestant = (name: string, line: number, read: () => Promise<void>): Contestant => ({
    name,
    clock: 'wall',
    prepare: async () => {
      await read()
      await slave.ask(`${line}`)
    },
    run: async () => {
      const end = performance.now() + sampleMs
      let count = 0
      do {
        await read()
        count++
      } while (performance.now() < end)
      requests.set(name, (await slave.ask<SlaveStats>(`${line}`)).requests / count)
      return count
    },
  })
  const timed = await race(
    [
      contestant('page.tieline', ours, async () => {
        const { values } = must(await meter.read())
        if (values.length !== spans.length) throw new Error(`${values.length} of ${spans.length} values`)
      }),
      contestant('page.modbus-serial', theirs, async () => {
        for (const { table, address, count } of single) await other.read(1, table, address, count)
      }),
    ],
    { rounds, sampleMs: 0 },
  )
  await master.close()
  await other.close()
  return [...timed].map(([id, { median, lowest, highest, samples, clock }]) => ({
    id,
    what: `${id.slice(5)}: ${spans.length} values of the SDM630 and its serial number`,
    value: 1000 / median,
    lowest: 1000 / highest,
    highest: 1000 / lowest,
    samples,
    clock,
    unit: 'ms',
    floor: { what: 'wire time of our plan', value: limitMs, unit: 'ms', share: 1000 / median / limitMs },
    note: `wall; ${requests.get(id)} requests a reading, our plan has ${plan.length + 1}`,
    ...(id === 'page.tieline' ? { asked: '110 % of the plan' } : {}),
  }))
}

await runBench(
  'bench:modbus',
  'Modbus RTU on pseudo-terminals against a simulator in a process of its own that keeps the pace of the wire.',
  bench,
)
