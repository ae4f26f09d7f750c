/**
 * The agent of bench:control, in a process of its own: the real relay control over the real drivers, metering into a journal on the
 * disk, and beside it what makes a board busy. What a deal and a neighbour would say is said here.
 *
 * A line of input is a command, answered by a line: `energise N`, `silence N` (the neighbour is heard no more), `halt N` (the
 * ledger cannot be believed), `stop N`, `sound N` (all is well again), `why N`, `done`.
 */
import { createInterface } from 'node:readline'
import { createRelayControl } from '../../agent/relays/run.ts'
import { PAGES } from '../../drivers/meters/catalogue.ts'
import { createModbusMeter } from '../../drivers/meters/modbus-meter.ts'
import { coilRelays } from '../../drivers/relays/modbus-coil.ts'
import { utf8 } from '../../protocol/bytes.ts'
import { done, must } from '../../protocol/result.ts'
import { DEFAULT_LIMITS, type LineFacts } from '../../protocol/safety/facts.ts'
import { instant, type Mono } from '../../protocol/time.ts'
import { openBoard } from './control-board.ts'
import { BOARD_UNIT, LINES } from './control-line.ts'
import type { Load } from './control-load.ts'

export interface AgentTask {
  readonly meters: string
  readonly board: string
  readonly data: string
  readonly busy: boolean
}

const CHANNELS = ['voltageL1', 'currentL1', 'power', 'frequency', 'energyImported', 'energyExported'] as const
const METER_MS = 1_000
/** As often as neighbours hear of each other. */
const HEARTBEAT_MS = 250
/** Coils are held so long; renewed every third of it. */
const TIMED_MS = 1_500
/** Shorter than a contactor would like: between two samples nothing is learnt. */
const MIN_OFF_MS = 500
const LIMIT_MA = 32_000

const task = JSON.parse(process.argv[2]!) as AgentTask
const board = await openBoard(task.data)
const { clock, timers, log, journal } = board
const meterLine = await board.masterOn(task.meters)
const { master } = await board.masterOn(task.board)
const names = Array.from({ length: LINES }, (_, n) => `L${n}`)
const metering = board.metering(
  names.map((name, n) => ({
    ...{ name, periodMs: METER_MS, staleMs: 5 * METER_MS },
    meter: createModbusMeter({
      ...meterLine,
      ...{ page: PAGES.get('eastron-sdm120')!, unit: n + 1, clock, channels: CHANNELS },
    }),
  })),
)
must(metering.start(1))

const relays = must(
  coilRelays({
    ...{ name: 'board', master, unit: BOARD_UNIT, timedMs: TIMED_MS },
    contacts: names.map((name, n) => ({ name, channel: n + 1 })),
  }),
)
const begun = clock.now()
const heard: Mono[] = names.map(() => clock.mono())
const silent = new Set<number>()
const halted = new Set<number>()
timers.every(HEARTBEAT_MS, () => {
  for (const n of names.keys()) if (!silent.has(n)) heard[n] = clock.mono()
})
const factsOf = (n: number): LineFacts => ({
  deal: { id: `deal ${n}`, start: begun, end: instant(begun + 86_400_000) },
  proof: { height: 7n, headerTime: clock.now() },
  light: halted.has(n) ? 'halted' : 'healthy',
  ownHeartbeat: heard[n],
  peer: { heard: heard[n]!, line: 'closed', welded: false },
})
const control = createRelayControl({
  ends: names.map((line, n) => ({
    ...{ line, side: 'seller' as const, contacts: { line: relays[n]! } },
    limits: { ...DEFAULT_LIMITS, limitMa: LIMIT_MA, minOffMs: MIN_OFF_MS },
  })),
  facts: line => factsOf(names.indexOf(line)),
  meterOf: line => metering.latest(line)?.reading,
  watchdogFed: board.watchdogFed,
  intend: async contact => {
    const kept = await journal.append('intent', utf8(contact), { urgent: true })
    return kept.ok ? done : kept
  },
  ...{
    welds: [],
    keepWelds: async () => done,
    manual: false,
    keepManual: async () => done,
    onEvent: () => {},
    clock,
    timers,
    log,
  },
})
let load: Load | undefined
if (task.busy) load = await board.load()

/** Lateness of a timer of this process, in milliseconds: what the control loop has to live with. */
const late: number[] = []
const LOOK_MS = 10
let due = performance.now() + LOOK_MS
timers.every(LOOK_MS, () => {
  const now = performance.now()
  late.push(Math.max(0, now - due))
  due = now + LOOK_MS
})

const ANSWERS: Readonly<Record<string, (n: number) => unknown>> = {
  energise: n => control.wish(names[n]!, 'energise'),
  silence: n => silent.add(n),
  halt: n => halted.add(n),
  stop: n => control.openNow(names[n]!, { code: 'bench.stop' }),
  sound: n => {
    silent.delete(n)
    halted.delete(n)
  },
  why: n => control.view(names[n]!)?.because,
  done: () => ({ ...load?.done(), late }),
}
process.stdout.write(`${JSON.stringify({ page: load?.pageUrl, pid: process.pid })}\n`)
for await (const asked of createInterface({ input: process.stdin })) {
  const [word, n] = asked.split(' ')
  const answer = ANSWERS[word!]!(Number(n))
  process.stdout.write(`${JSON.stringify(answer instanceof Set ? 0 : (answer ?? 0))}\n`)
}
await control.stop()
await load?.stop()
await metering.stop()
await board.close()
process.exit(0)
