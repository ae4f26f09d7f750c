/**
 * The Modbus master of one physical line: every request of every slave on it passes through here, so that nobody talks at
 * once, a relay command goes first, and one dead slave does not starve the rest.
 */
import type { Identification, ModbusAnswer, ModbusRequest } from '../../protocol/modbus/pdu.ts'
import { done, type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import { later, type Mono } from '../../protocol/time.ts'
import { keepOpen } from '../line/keep-open.ts'
import type { Clock, Line, Log, Timers } from '../ports.ts'
import type { Answered } from './exchange.ts'
import { FRAMINGS } from './framing.ts'
import { createQuarantine } from './quarantine.ts'
import { createSerialExchange } from './serial-exchange.ts'
import { ANSWER_LIMITS, type AnswerLimits, createSlaveRecord, type SlaveRecord } from './slave-record.ts'
import { createTcpExchange } from './tcp-exchange.ts'

export interface ModbusMasterParts {
  readonly line: Line
  readonly clock: Clock
  readonly timers: Timers
  /** `rtu` and `ascii` are for a serial device, or a TCP line to a serial server that passes its bytes through. */
  readonly framing: 'rtu' | 'ascii' | 'tcp'
  /** Requests under way at once on a TCP connection; many devices serve only one. */
  readonly depth?: number
  readonly answers?: Partial<AnswerLimits>
  readonly log?: Log
  /** false only in the test that shows what the defence is worth. */
  readonly lateAnswerDefence?: boolean
}

export interface CallOptions {
  /**
   * `relay` goes before every read and is never held back; to a slave that does not answer it goes after the others, and
   * every other time. Within a rank the earliest deadline goes first.
   */
  readonly priority?: 'relay' | 'read'
  /** How long this request may wait for its turn. */
  readonly deadlineMs?: number
  /**
   * This reads the slave's identity register: the canary that lifts the distrust which a timeout brought on its slave.
   * `alone` says that nobody reads anything else of the same table and length from it, so that the canary may be repeated
   * while its own answer is still owed.
   */
  readonly canary?: 'alone' | 'shared'
  /** When it is aborted, a request that has not gone out yet is taken back (`modbus.withdrawn`). */
  readonly signal?: AbortSignal | undefined
}

/** Registers as bytes, and the whole frame that brought them, for the dispute. */
export interface RegisterBlock {
  readonly bytes: Uint8Array
  readonly frame: Uint8Array
  /** When they were asked for: they are no older. */
  readonly asked: Mono
}

export interface MasterHealth {
  /** undefined while the line is up. */
  readonly line: Fault | undefined
  /** What the line's device goes without, as a fact. */
  readonly without: Fault | undefined
  readonly slaves: readonly SlaveHealth[]
  /** `late`: owed answers heard too late. `junk`: bytes that fit no answer. `unasked`: chunks heard when nothing was owed. `stranger`: requests of another master. */
  readonly counts: Readonly<Record<Count, number>>
}

export interface SlaveHealth {
  readonly unit: number
  readonly misses: number
  readonly resting: boolean
  readonly tainted: boolean
  readonly longestMs: number
}

export interface ModbusMaster {
  /** Opens the line; when that fails it is tried again until `close`. */
  open(): Promise<Result<void>>
  readRegisters(
    unit: number,
    table: 'holding' | 'input',
    address: number,
    count: number,
    options?: CallOptions,
  ): Promise<Result<RegisterBlock>>
  readCoils(unit: number, address: number, count: number, options?: CallOptions): Promise<Result<readonly boolean[]>>
  readDiscreteInputs(
    unit: number,
    address: number,
    count: number,
    options?: CallOptions,
  ): Promise<Result<readonly boolean[]>>
  writeCoil(unit: number, address: number, on: boolean, options?: CallOptions): Promise<Result<void>>
  writeCoils(unit: number, address: number, bits: readonly boolean[], options?: CallOptions): Promise<Result<void>>
  writeRegister(unit: number, address: number, value: number, options?: CallOptions): Promise<Result<void>>
  writeRegisters(unit: number, address: number, values: readonly number[], options?: CallOptions): Promise<Result<void>>
  /** Any of these writes as the request that it is. */
  write(unit: number, request: WriteRequest, options?: CallOptions): Promise<Result<void>>
  /** Writes registers, then reads others, in one transaction (function 23). */
  exchangeRegisters(
    unit: number,
    write: { readonly address: number; readonly values: readonly number[] },
    read: { readonly address: number; readonly count: number },
    options?: CallOptions,
  ): Promise<Result<RegisterBlock>>
  /** One answer of function 43/14; `next` in it names where to go on. */
  readIdentification(
    unit: number,
    code: 1 | 2 | 3 | 4,
    object: number,
    options?: CallOptions,
  ): Promise<Result<Identification>>
  /** Whether this read must not be sent now, because an owed answer of its length may still come. */
  isQuarantined(unit: number, table: 'holding' | 'input', count: number): boolean
  /** Whether the answer to this request could be mistaken for an owed one: another form of it could not. */
  isMistakable(unit: number, request: ModbusRequest): boolean
  health(): MasterHealth
  close(): Promise<void>
}

export type WriteRequest = Extract<ModbusRequest, { readonly fn: 5 | 6 | 15 | 16 }>

type Count = 'sent' | 'answered' | 'timeouts' | 'refused' | 'late' | 'junk' | 'unasked' | 'stranger'

interface Job {
  readonly unit: number
  readonly request: ModbusRequest
  readonly urgent: boolean
  readonly canary: boolean
  readonly alone: boolean
  readonly due: Mono
  readonly settle: (result: Result<Answered>) => void
}

/** A read that waited longer than this is of no use to anybody who samples once a second. */
const DEADLINE_MS = 2_000
/** More than three meters and a relay board ever have outstanding; beyond, somebody asks faster than the line answers. */
const QUEUE_MOST = 64
/** An open line on which nothing at all was heard this long, through several requests, is opened anew. */
const DEAF_MS = 10_000
const DEAF_MISSES = 4
/** A serial slave's address; 0 would be a broadcast, which nobody answers. Over TCP 0 and 255 mean the device itself. */
const SERIAL_UNITS = [1, 247] as const
const TCP_UNITS = [0, 255] as const
/** Faults of requests that never went out. */
const HELD_BACK: ReadonlySet<string> = new Set(['modbus.tainted', 'modbus.quarantined', 'modbus.second-master'])
/** Faults of requests whose time ran out. */
const UNANSWERED: ReadonlySet<string> = new Set([
  'modbus.timeout',
  'modbus.other-unit',
  'modbus.garbled',
  'modbus.early',
])

export function createModbusMaster(parts: ModbusMasterParts): ModbusMaster {
  const { line, clock, timers, framing, log, lateAnswerDefence = true } = parts
  const limits: AnswerLimits = { ...ANSWER_LIMITS, ...parts.answers }
  const slaves = new Map<number, SlaveRecord>()
  const counts: Record<Count, number> = {
    ...{ sent: 0, answered: 0, timeouts: 0, refused: 0 },
    ...{ late: 0, junk: 0, unasked: 0, stranger: 0 },
  }
  const count = (what: Count): void => {
    counts[what]++
  }
  const slave = (unit: number): SlaveRecord => {
    let record = slaves.get(unit)
    if (record === undefined) {
      record = createSlaveRecord(unit, limits)
      slaves.set(unit, record)
    }
    return record
  }

  const quarantine = createQuarantine()
  let queue: Job[] = []
  let underWay = 0
  let lastHeard = clock.mono()
  let deafMisses = 0

  const link = keepOpen(line, timers, {
    bytes: (chunk, at) => {
      lastHeard = at
      deafMisses = 0
      exchange.bytes(chunk, at)
    },
    up: () => log?.('info', 'modbus', `${line.name} is up`),
    down: fault => {
      log?.('warn', 'modbus', `${line.name} is down`, fault)
      exchange.down(fault)
      for (const job of queue.splice(0)) job.settle(fail(fault))
    },
  })
  const common = { line, clock, timers, quarantine, slave, lateAnswerDefence, count }
  const exchange =
    framing !== 'tcp'
      ? createSerialExchange({ ...common, framing: FRAMINGS[framing] })
      : createTcpExchange({ ...common, depth: parts.depth ?? 1, lost: fault => link.restart(fault) })

  const isResting = ({ unit }: Job): boolean => slave(unit).restsUntil() > clock.mono()
  /** The last request was a relay command to a slave that does not answer: each costs a whole time-out. */
  let triedResting = false

  function rankOf(job: Job): number {
    if (!job.urgent) return 2
    if (!isResting(job)) return 0
    return triedResting ? 3 : 1
  }

  /** The job that goes next: relay commands first, then whoever must be done earliest. */
  function take(): Job {
    const ranked = queue.map(job => ({ job, rank: rankOf(job) }))
    const { job: best } = ranked.reduce((a, b) => ((a.rank - b.rank || a.job.due - b.job.due) <= 0 ? a : b))
    queue = queue.filter(job => job !== best)
    return best
  }

  function refusal({ unit, urgent, due }: Job): Fault | undefined {
    const now = clock.mono()
    if (due < now) return { code: 'modbus.deadline', unit, lateMs: now - due }
    // The rest lets late answers run out as well: a master without the defence takes none.
    const restsUntil = lateAnswerDefence ? slave(unit).restsUntil() : now
    // A relay command is tried even on a slave that seems dead: it may be the one that opens a contact.
    return !urgent && restsUntil > now ? { code: 'modbus.silent', unit, retryInMs: restsUntil - now } : undefined
  }

  /** Whoever an answer was for has not said yet what it asks or commands because of it. */
  let reacting = false
  /** A serial line is silent after an answer anyhow: what goes next is chosen when the answer has had its effect, or a command would wait behind a read. */
  function afterAnswer(): void {
    if (framing === 'tcp') return pump()
    reacting = true
    timers.after(0, () => {
      reacting = false
      pump()
    })
  }

  function pump(): void {
    while (!reacting && underWay < exchange.depth && queue.length > 0) {
      const job = take()
      const refused = refusal(job)
      if (refused !== undefined) {
        count('refused')
        job.settle(fail(refused))
        continue
      }
      triedResting = job.urgent && isResting(job)
      underWay++
      void exchange.run(job).then(result => {
        underWay--
        tally(result)
        job.settle(result)
        afterAnswer()
      })
    }
  }

  function tally(result: Result<Answered>): void {
    const code = result.ok ? undefined : result.fault.code
    if (code !== undefined && HELD_BACK.has(code)) {
      count('refused')
      return
    }
    count('sent')
    if (code === undefined || code === 'modbus.exception') count('answered')
    if (code === undefined || !UNANSWERED.has(code)) return
    count('timeouts')
    deafMisses++
    const silentMs = clock.mono() - lastHeard
    if (deafMisses < DEAF_MISSES || silentMs < DEAF_MS) return
    deafMisses = 0
    lastHeard = clock.mono()
    link.restart({ code: 'modbus.line-deaf', line: line.name, silentMs })
  }

  function submit(unit: number, request: ModbusRequest, options: CallOptions = {}): Promise<Result<Answered>> {
    const [lowest, highest] = framing === 'tcp' ? TCP_UNITS : SERIAL_UNITS
    if (!(unit >= lowest && unit <= highest))
      throw new RangeError(`modbus unit must be ${lowest} to ${highest}, not ${unit}`)
    const down = link.fault()
    if (down !== undefined) return Promise.resolve(fail(down))
    const { canary, signal } = options
    const withdrawn = fail({ code: 'modbus.withdrawn', unit })
    if (signal?.aborted) return Promise.resolve(withdrawn)
    const urgent = options.priority === 'relay'
    if (!urgent && queue.length >= QUEUE_MOST)
      return Promise.resolve(fail({ code: 'modbus.busy', line: line.name, waiting: queue.length }))
    return new Promise(settle => {
      const due = later(clock.mono(), options.deadlineMs ?? DEADLINE_MS)
      const job = { unit, request, urgent, canary: canary !== undefined, alone: canary === 'alone', due, settle }
      queue.push(job)
      const takeBack = () => {
        if (!queue.includes(job)) return
        queue = queue.filter(other => other !== job)
        settle(withdrawn)
      }
      signal?.addEventListener('abort', takeBack, { once: true })
      pump()
    })
  }

  /** The part of the answer that a request of this kind always has; the decoder made sure of the kind. */
  async function read<K extends ModbusAnswer['kind']>(
    kind: K,
    unit: number,
    request: ModbusRequest,
    options?: CallOptions,
  ): Promise<
    Result<{ readonly answer: Extract<ModbusAnswer, { kind: K }>; readonly frame: Uint8Array; readonly asked: Mono }>
  > {
    const result = await submit(unit, request, options)
    if (!result.ok) return result
    const { answer, frame, asked } = result.value
    if (answer.kind !== kind) throw new Error(`function ${request.fn} gave ${answer.kind}, not ${kind}`)
    return ok({ answer: answer as Extract<ModbusAnswer, { kind: K }>, frame, asked })
  }

  async function registers(
    unit: number,
    request: ModbusRequest,
    options?: CallOptions,
  ): Promise<Result<RegisterBlock>> {
    const result = await read('registers', unit, request, options)
    if (!result.ok) return result
    const { answer, frame, asked } = result.value
    return ok({ bytes: answer.bytes, frame, asked })
  }

  async function bits(
    unit: number,
    request: ModbusRequest,
    options?: CallOptions,
  ): Promise<Result<readonly boolean[]>> {
    const result = await read('bits', unit, request, options)
    return result.ok ? ok(result.value.answer.bits) : result
  }

  async function write(unit: number, request: ModbusRequest, options?: CallOptions): Promise<Result<void>> {
    const result = await read('written', unit, request, options)
    return result.ok ? done : result
  }

  const isMistakable = (unit: number, request: ModbusRequest): boolean => quarantine.holds(unit, request, clock.mono())

  const readFunction = (table: 'holding' | 'input'): 3 | 4 => (table === 'holding' ? 3 : 4)

  return {
    open: link.open,
    readRegisters: (unit, table, address, number, options) =>
      registers(unit, { fn: readFunction(table), address, count: number }, options),
    readCoils: (unit, address, number, options) => bits(unit, { fn: 1, address, count: number }, options),
    readDiscreteInputs: (unit, address, number, options) => bits(unit, { fn: 2, address, count: number }, options),
    write,
    writeCoil: (unit, address, on, options) => write(unit, { fn: 5, address, on }, options),
    writeRegister: (unit, address, value, options) => write(unit, { fn: 6, address, value }, options),
    writeCoils: (unit, address, values, options) => write(unit, { fn: 15, address, bits: values }, options),
    writeRegisters: (unit, address, values, options) => write(unit, { fn: 16, address, values }, options),
    exchangeRegisters: (unit, from, to, options) =>
      registers(
        unit,
        { fn: 23, address: to.address, count: to.count, writeAddress: from.address, values: from.values },
        options,
      ),
    readIdentification: async (unit, code, object, options) => {
      const result = await read('identification', unit, { fn: 43, code, object }, options)
      return result.ok ? ok(result.value.answer.identification) : result
    },
    isQuarantined: (unit, table, number) => isMistakable(unit, { fn: readFunction(table), address: 0, count: number }),
    isMistakable,
    health: () => ({
      line: link.fault(),
      without: line.without?.(),
      slaves: [...slaves.values()].map(record => ({
        unit: record.unit,
        misses: record.misses(),
        resting: record.restsUntil() > clock.mono(),
        tainted: record.tainted,
        longestMs: Math.round(record.longestMs()),
      })),
      counts: { ...counts },
    }),
    close: link.close,
  }
}
