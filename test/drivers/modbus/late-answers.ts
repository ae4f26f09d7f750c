/**
 * The trial behind the claim "never a wrong number": a master reads slaves whose answers come late, and every value that it
 * believes is judged. A register pair tells which slave's it is, which address it stands at and when it was sampled, so a value
 * is right only if it is what was asked for and was sampled after the question.
 */
import { drainPromises } from '../../../drivers/drain.ts'
import { createModbusMaster } from '../../../drivers/modbus/master.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { createUnit, serveModbus } from '../../../hw/sim/modbus-slave.ts'
import { seededRandom } from '../../../hw/sim/random.ts'

/** `stream` is RTU over TCP. */
export const LATE_FRAMINGS = ['rtu', 'stream', 'ascii'] as const

export interface LateTrial {
  readonly framing: (typeof LATE_FRAMINGS)[number]
  readonly slaves: number
  readonly reads: number
  readonly seed: number
  /** How late a late answer is, in timeouts. */
  readonly timeoutsLate: number
  readonly queued: boolean
  readonly share: number
  readonly lateAnswerDefence: boolean
}

export interface LateOutcome {
  readonly right: number
  readonly wrong: number
  readonly absent: number
}

const CHARACTER_MS = 10_000 / 9_600
const ANSWER_MS = 100
/** On a stream the master waits as long as a slow gateway's wire takes: 8 characters there and 33 back for 14 registers. */
const GATEWAY_MS = 41 * CHARACTER_MS
/** Holding registers that never change, of another length than the values. */
const IDENTITY = { address: 0xfc00, count: 4 }
const LENGTHS = [2, 6, 10, 14]

export async function tryLateAnswers(trial: LateTrial): Promise<LateOutcome> {
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  const random = seededRandom(trial.seed)
  const onStream = trial.framing === 'stream'
  const wire = createMemoryLine({ name: 'late', characterMs: onStream ? 0 : CHARACTER_MS, clock, timers })
  const timeoutMs = ANSWER_MS + (onStream ? GATEWAY_MS : 0)
  /** Even registers name their slave and address, odd ones say when they were sampled. */
  const nameOf = (slave: number, address: number) => (slave << 12) | address
  const makeSlave = (slave: number) => {
    const unit = createUnit({
      registers: () => (_table, address) => {
        if (address >= IDENTITY.address) return 0x4d
        return address % 2 === 0 ? nameOf(slave, address) : Math.floor(clock.mono()) & 0xffff
      },
    })
    Object.assign(unit.faults, {
      lateShare: trial.share,
      lateMs: trial.timeoutsLate * timeoutMs,
      lateQueued: trial.queued,
    })
    return unit
  }
  const slaves = Array.from({ length: trial.slaves }, (_, i) => i + 1)
  const framing = onStream ? 'rtu' : trial.framing
  serveModbus(wire.device, new Map(slaves.map(slave => [slave, makeSlave(slave)])), {
    framing,
    characterMs: 0,
    turnaroundMs: 5,
    clock,
    timers,
    random,
  })
  const master = createModbusMaster({
    line: wire.port,
    clock,
    timers,
    framing,
    // The timeout stays where it is, so that late stays late.
    answers: { initialMs: ANSWER_MS, floorMs: ANSWER_MS, ceilingMs: ANSWER_MS },
    lateAnswerDefence: trial.lateAnswerDefence,
  })

  const outcome = { right: 0, wrong: 0, absent: 0 }
  async function read(): Promise<void> {
    const slave = slaves[Math.floor(random() * slaves.length)]!
    if (master.health().slaves.find(({ unit }) => unit === slave)?.tainted)
      await master.readRegisters(slave, 'holding', IDENTITY.address, IDENTITY.count, { canary: 'alone' })
    const address = 2 * Math.floor(random() * 32)
    const lengths = LENGTHS.filter(count => !master.isQuarantined(slave, 'input', count))
    const count = lengths[Math.floor(random() * Math.min(2, lengths.length))] ?? 2
    const asked = Math.floor(clock.mono())
    const block = await master.readRegisters(slave, 'input', address, count)
    if (!block.ok) {
      outcome.absent++
      // Refused at once, without time on the wire: whoever samples comes back at the next tick.
      if (block.fault.code !== 'modbus.timeout') await timers.sleep(50)
      return
    }
    const { bytes } = block.value
    const sampledAt = (bytes[2]! << 8) | bytes[3]!
    const age = (sampledAt - asked) & 0xffff
    const isRight = ((bytes[0]! << 8) | bytes[1]!) === nameOf(slave, address) && age < 0x8000
    outcome[isRight ? 'right' : 'wrong']++
  }

  let done = false
  void (async () => {
    await master.open()
    for (let i = 0; i < trial.reads; i++) await read()
    done = true
    await master.close()
  })()
  while (!done) await advance(10_000)
  return outcome
}
