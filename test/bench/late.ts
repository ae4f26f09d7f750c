/** `npm run bench:late`: how many wrong values each stack hands out when answers come late. */
import { createSystemTime } from '../../drivers/clock.ts'
import { createModbusMeter } from '../../drivers/meters/modbus-meter.ts'
import { A, CHANNELS, input, type MeterPage, V } from '../../drivers/meters/page.ts'
import { findValue } from '../../protocol/telegram/obis.ts'
import { openMaster, openSerial, STACKS, type Stack } from './peers.ts'
import { type BenchOptions, type Row, runBench } from './report.ts'
import { type SlaveProcess, startSlave } from './slave-process.ts'
import { TELLING_IDENTITY, tellingWord } from './telling.ts'
import type { SlaveTask } from './wire-slave.ts'

const LATE_SHARE = 0.02
const TIMEOUTS_LATE = [1.1, 1.5, 4.5, 20] as const
const ORDERS = ['queued', 'overtaken'] as const
const SLAVES = [[1], [1, 2, 3]] as const
const BAUD = 115_200
const TURNAROUND_MS = 2
/** Who is refused without a question on the wire comes back after this, as one who samples does. */
const REFUSED_PAUSE_MS = 20
const REFUSED_WITHIN_MS = 1

/** Six values in two blocks; each says which unit and address it is of, and when it was read. */
const PAGE: MeterPage = {
  name: 'telling',
  products: ['the bench'],
  sources: [{ title: 'wire-slave.ts', seen: 'manual' }],
  replay: 'synthetic',
  framing: 'rtu',
  wordOrder: 'high-first',
  identity: { table: 'holding', ...TELLING_IDENTITY, as: 'u64' },
  maxRegisters: 80,
  turnaroundMs: TURNAROUND_MS,
  holes: 'readable',
  resolution: {},
  registers: {
    voltageL1: input(0, 'u32', V),
    voltageL2: input(2, 'u32', V),
    voltageL3: input(4, 'u32', V),
    currentL1: input(200, 'u32', A),
    currentL2: input(202, 'u32', A),
    currentL3: input(204, 'u32', A),
  },
  caveats: [],
}
const CHANNEL_NAMES = ['voltageL1', 'voltageL2', 'voltageL3', 'currentL1', 'currentL2', 'currentL3'] as const
/** The same values as blocks, for stacks that read registers. */
const BLOCKS = [0, 200] as const
const BLOCK_VALUES = 3

interface Outcome {
  right: number
  wrong: number
  absent: number
}

/** A value is right if it is of the unit and address that were asked for, and was read after the question. */
function judge(outcome: Outcome, value: number | undefined, unit: number, address: number, askedAt: number): void {
  if (value === undefined) outcome.absent++
  else {
    const age = ((value & 0xffff) - (askedAt & 0xffff)) & 0xffff
    outcome[value >>> 16 === tellingWord(unit, address) && age < 0x8000 ? 'right' : 'wrong']++
  }
}

interface Place {
  readonly path: string
  readonly baud: number
  readonly timeoutMs: number
}

/** Asks every unit in turn until the time is over. */
async function trial(stack: Stack, place: Place, units: readonly number[], ms: number): Promise<Outcome> {
  const outcome: Outcome = { right: 0, wrong: 0, absent: 0 }
  const { ask, close } =
    stack === 'tieline' ? await openOurs(place, units, outcome) : await openTheirs(stack, place, outcome)
  const end = performance.now() + ms
  for (let turn = 0; performance.now() < end; turn++) {
    const began = performance.now()
    await ask(units[turn % units.length]!)
    const took = performance.now() - began
    if (took < REFUSED_WITHIN_MS) await new Promise(resolve => setTimeout(resolve, REFUSED_PAUSE_MS))
  }
  await close()
  return outcome
}

interface Asker {
  ask(unit: number): Promise<void>
  close(): Promise<void>
}

async function openOurs(place: Place, units: readonly number[], outcome: Outcome): Promise<Asker> {
  const master = await openMaster(place)
  const { clock } = createSystemTime()
  const characterMs = 10_000 / place.baud
  const meters = new Map(units.map(unit => [unit, createModbusMeter({ master, page: PAGE, unit, clock, characterMs })]))
  return {
    ask: async unit => {
      const askedAt = Date.now()
      const reading = await meters.get(unit)!.read()
      for (const channel of CHANNEL_NAMES) {
        const found = reading.ok ? findValue(reading.value.values, CHANNELS[channel].obis) : undefined
        judge(outcome, found && Number(found.value), unit, PAGE.registers[channel]!.address, askedAt)
      }
    },
    close: () => master.close(),
  }
}

async function openTheirs(stack: Stack, place: Place, outcome: Outcome): Promise<Asker> {
  const reader = await openSerial(stack, place)
  return {
    ask: async unit => {
      for (const block of BLOCKS) {
        const askedAt = Date.now()
        const bytes = await reader.read(unit, 'input', block, 2 * BLOCK_VALUES)
        for (let i = 0; i < BLOCK_VALUES; i++) {
          const value = bytes && Buffer.from(bytes).readUInt32BE(4 * i)
          judge(outcome, value, unit, block + 2 * i, askedAt)
        }
      }
    },
    close: () => reader.close(),
  }
}

async function bench({ quick, smoke }: BenchOptions): Promise<readonly Row[]> {
  const timeoutMs = quick ? 30 : 100
  const trialMs = smoke ? 30 : quick ? 800 : 20_000
  const places = SLAVES.flatMap(units => STACKS.map(stack => ({ units, stack })))
  const line = { baud: BAUD, turnaroundMs: TURNAROUND_MS, bank: 'telling', faults: {} }
  const task: SlaveTask = { lines: places.map(({ units }) => ({ ...line, units })) }
  const slave = await startSlave<readonly string[]>('wire', task)
  const totals = new Map(STACKS.map((stack): [Stack, Outcome] => [stack, { right: 0, wrong: 0, absent: 0 }]))
  const rows: Row[] = []
  try {
    for (const times of TIMEOUTS_LATE)
      for (const order of ORDERS)
        for (const [index, { units, stack }] of places.entries()) {
          const faults = { lateShare: LATE_SHARE, lateMs: times * timeoutMs, lateQueued: order === 'queued' }
          const outcome = await strike(slave, index, faults, stack, timeoutMs, units, trialMs)
          const total = totals.get(stack)!
          for (const kind of ['right', 'wrong', 'absent'] as const) total[kind] += outcome[kind]
          rows.push(
            rowOf(
              `${stack}.${times}.${order}.${units.length}`,
              stack,
              `${times} time-outs late, ${order}, ${units.length} slave${units.length > 1 ? 's' : ''}`,
              outcome,
            ),
          )
        }
  } finally {
    await slave.close()
  }
  const sums = STACKS.map(stack => rowOf(`${stack}.all`, stack, 'all of it', totals.get(stack)!))
  return [...sums, ...rows]
}

async function strike(
  slave: SlaveProcess<readonly string[]>,
  index: number,
  faults: object,
  stack: Stack,
  timeoutMs: number,
  units: readonly number[],
  ms: number,
): Promise<Outcome> {
  await slave.ask(`${index} ${JSON.stringify(faults)}`)
  return trial(stack, { path: slave.told[index]!, baud: BAUD, timeoutMs }, units, ms)
}

function rowOf(id: string, stack: Stack, what: string, { right, wrong, absent }: Outcome): Row {
  return {
    id,
    what: `${stack}: ${what}`,
    value: wrong,
    unit: 'wrong values',
    note: `${right} right, ${absent} absent`,
    counts: { right, wrong, absent },
    ...(stack === 'tieline' ? { asked: '0' } : {}),
  }
}

await runBench(
  'bench:late',
  `Values of which ${LATE_SHARE * 100} % of the answers come late, through each stack: right, wrong and believed, or absent.`,
  bench,
)
