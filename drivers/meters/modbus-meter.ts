/** A meter read through a Modbus master: its page says which registers, this says when they may be believed. */
import { concat, toHex } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import type { MeterValue } from '../../protocol/telegram/obis.ts'
import { later, type Mono } from '../../protocol/time.ts'
import { silenceOf } from '../modbus/framing.ts'
import type { ModbusMaster, RegisterBlock } from '../modbus/master.ts'
import type { Clock, Log, Meter, MeterReading } from '../ports.ts'
import { createCounterWatch } from './counters.ts'
import {
  CHANNELS,
  type Channel,
  identityText,
  type MeterPage,
  pageOfModel,
  type Quantity,
  type Register,
  readRegister,
  type Span,
} from './page.ts'
import { covers, holesIn, hullOf, planReads, requestCost } from './plan.ts'
import { createRefusals } from './refusals.ts'

export interface ModbusMeterParts {
  readonly master: ModbusMaster
  readonly page: MeterPage
  readonly unit: number
  readonly clock: Clock
  /** Of the line that the master works on; decides how reads are joined. */
  readonly characterMs: number
  /**
   * The identity that this meter must have; without one, the first seen is pinned until restart. A meter that tells no
   * identity has this one, and cannot be read without it.
   */
  readonly meterId?: string
  /** The quantities wanted; all that the page has when left out. */
  readonly channels?: readonly Channel[]
  readonly log?: Log
}

/** A batch is tried again once, in other lengths, when an answer stayed out. */
const ATTEMPTS = 2
/** Exceptions by which a meter refuses registers that it does not have. */
const NO_SUCH_REGISTER: ReadonlySet<unknown> = new Set([2, 3])
const isRefusal = (fault: Fault): boolean =>
  fault.code === 'modbus.exception' && NO_SUCH_REGISTER.has(fault['exception'])
const NO_SUCH_IDENTITY =
  'this meter does not have the identity register of its page: is it another model, or an older one?'

/** Faults of what was not sent, because of what had happened before: that is what tells. */
const HELD_BACK: ReadonlySet<string | undefined> = new Set(['modbus.tainted', 'modbus.quarantined'])

/** Faults that show that what answers is, or may be, somebody else. */
const NOT_THE_METER: ReadonlySet<string> = new Set(['meter.identity', 'meter.no-identity', 'meter.other-model'])
/** Some slaves say nothing where another refuses: after so many questions without answer there is no model register. */
const MODEL_ASKED_MOST = 3

interface Want {
  readonly channel: Channel
  readonly register: Register<Quantity>
  /** What one request must bring: the register, and its scale register where it has one. */
  readonly span: Span
}

interface Batch {
  readonly frames: Uint8Array[]
  readonly values: Map<Channel, MeterValue>
  /** What was answered, be it that there is no such value. */
  readonly answered: Set<Channel>
  /** When the oldest frame that gave a value was asked for: a relay may have moved before it was heard. */
  oldest: Mono | undefined
  meterId: string
  fault: Fault | undefined
}

export function createModbusMeter(parts: ModbusMeterParts): Meter {
  const { master, page, unit, clock, log } = parts
  const wants = (parts.channels ?? (Object.keys(CHANNELS) as Channel[])).flatMap((channel): Want[] => {
    const register = page.registers[channel]
    return register === undefined ? [] : [{ channel, register, span: hullOf(register, register.scaledBy) }]
  })
  const spans = wants.map(({ span }) => span)
  const cost = requestCost(parts.characterMs, silenceOf(parts.characterMs), page.turnaroundMs)
  const counters = createCounterWatch(`${page.name} unit ${unit}`, log, page.maxPowerW)
  const refusals = createRefusals(
    clock,
    page.holes === 'forbidden'
      ? (['holding', 'input'] as const).flatMap(table => holesIn({ table, address: 0, count: 0x1_0000 }, spans))
      : [],
  )
  /** Values of another table than the identity's never look like it, whatever their length. */
  const isAlone = spans.every(({ table }) => table !== page.identity.table)
  const tellsIdentity = page.identity.as !== 'none'
  /** What the identity register must say. */
  let pinned = tellsIdentity ? parts.meterId : undefined
  /** How often the model register may still be asked for; none once it has answered. */
  let modelAsks = page.model === undefined ? 0 : MODEL_ASKED_MOST
  /** Whether an answer of the model register may still come: it can be as long as the identity's, and of the same table. */
  let modelOwed = false

  const plan = (wanted: readonly Want[]) =>
    planReads(
      wanted.map(({ span }) => span),
      {
        maxRegisters: page.maxRegisters,
        requestCost: cost,
        forbidden: refusals.forbidden(),
        refused: refusals.refused(),
        avoid: ({ table, count }) => master.isQuarantined(unit, table, count),
      },
    )

  /** The identity register, read with every batch: it shows whose values these are, and that the slave keeps up. */
  async function identify(batch: Batch): Promise<Fault | undefined> {
    const noIdentity = { code: 'meter.no-identity', page: page.name, unit }
    const { table, address, count } = page.identity
    modelOwed &&= master.isQuarantined(unit, table, count)
    const canary = isAlone && !modelOwed ? 'alone' : 'shared'
    const block = await master.readRegisters(unit, table, address, count, { canary })
    if (!block.ok)
      return isRefusal(block.fault) ? { ...block.fault, ...noIdentity, hint: NO_SUCH_IDENTITY } : block.fault
    const seen = tellsIdentity ? identityText(page, block.value.bytes) : toHex(block.value.bytes)
    if (seen === undefined) return noIdentity
    if (pinned !== undefined && seen !== pinned)
      return { code: 'meter.identity', page: page.name, unit, expected: pinned, received: seen }
    const strange = await checkModel()
    if (strange !== undefined) return strange
    pinned ??= seen
    batch.meterId = tellsIdentity ? seen : parts.meterId!
    batch.frames.push(block.value.frame)
    return undefined
  }

  /** Registers of another product of the maker may answer as well and mean something else. */
  async function checkModel(): Promise<Fault | undefined> {
    if (page.model === undefined || modelAsks === 0) return undefined
    const { table, address, count } = page.model
    const block = await master.readRegisters(unit, table, address, count)
    if (!block.ok) {
      modelOwed ||= block.fault.code !== 'modbus.exception'
      modelAsks = block.fault.code === 'modbus.exception' ? 0 : modelAsks - 1
      return modelAsks === 0 ? undefined : block.fault
    }
    const fits = pageOfModel(page.model, block.value.bytes)
    if (fits !== undefined && fits !== page.name) {
      const received = toHex(block.value.bytes.subarray(0, 2))
      return { code: 'meter.other-model', page: page.name, unit, received, fits, hint: `read it by the page ${fits}` }
    }
    modelAsks = 0
    return undefined
  }

  function take(batch: Batch, island: Span, block: RegisterBlock, wanted: readonly Want[]): void {
    batch.frames.push(block.frame)
    batch.oldest ??= block.asked
    const bytesOf = ({ address, count }: Span) =>
      block.bytes.subarray(2 * (address - island.address), 2 * (address - island.address + count))
    for (const { channel, register, span } of wanted) {
      if (!covers(island, span)) continue
      batch.answered.add(channel)
      const value = readRegister(page, register, bytesOf(register), register.scaledBy && bytesOf(register.scaledBy))
      if (value !== undefined) batch.values.set(channel, { obis: CHANNELS[channel].obis, ...value })
    }
  }

  /** Reads what is wanted of an island that was refused, register by register. Answers whether the slave still talks. */
  async function readApart(batch: Batch, island: Span, wanted: readonly Want[]): Promise<boolean> {
    const inside = wanted.filter(({ span }) => covers(island, span))
    let allThere = true
    for (const want of inside) {
      const { table, address, count } = want.span
      const same = address === island.address && count === island.count
      const block = same && batch.fault ? fail(batch.fault) : await master.readRegisters(unit, table, address, count)
      if (block.ok) {
        take(batch, want.span, block.value, [want])
        continue
      }
      allThere = false
      batch.fault = block.fault
      if (block.fault.code !== 'modbus.exception') return false
      if (!isRefusal(block.fault)) continue
      batch.answered.add(want.channel)
      if (refusals.lacks(want.channel, want.span))
        log?.('warn', 'meters', `${page.name} unit ${unit} has no ${want.channel}`, {
          ...block.fault,
          code: 'meter.no-register',
          channel: want.channel,
          table,
          address,
        })
    }
    if (allThere) refusals.dislikes(island, spans)
    return true
  }

  /** Reads what is wanted, as far as it comes. */
  async function attempt(batch: Batch, wanted: readonly Want[]): Promise<void> {
    batch.fault = await identify(batch)
    if (batch.fault !== undefined) return
    const islands = plan(wanted)
    if (islands === undefined) {
      batch.fault = { code: 'meter.no-safe-plan', page: page.name, unit }
      return
    }
    for (const island of islands) {
      const block = await master.readRegisters(unit, island.table, island.address, island.count)
      if (block.ok) {
        take(batch, island, block.value, wanted)
        continue
      }
      batch.fault = block.fault
      // What comes after a timeout is refused until the canary is read again: the next attempt does.
      if (block.fault.code !== 'modbus.exception') return
      if (isRefusal(block.fault) && !(await readApart(batch, island, wanted))) return
    }
  }

  return {
    page: page.name,
    read: async (): Promise<Result<MeterReading>> => {
      if (page.identity.as === 'none' && parts.meterId === undefined)
        return fail({
          code: 'meter.needs-id',
          page: page.name,
          unit,
          why: page.identity.why,
          hint: 'configure the number on its nameplate as its id',
        })
      const batch: Batch = {
        frames: [],
        values: new Map(),
        answered: new Set(),
        oldest: undefined,
        meterId: '',
        fault: undefined,
      }
      const there = wants.filter(({ channel }) => !refusals.isMissing(channel))
      let wanted = there
      for (let tries = 0; tries < ATTEMPTS && (tries === 0 || wanted.length > 0); tries++) {
        const first = batch.fault
        await attempt(batch, wanted)
        if (first !== undefined && HELD_BACK.has(batch.fault?.code)) batch.fault = first
        wanted = wanted.filter(({ channel }) => !batch.answered.has(channel))
      }
      if (batch.oldest === undefined) refusals.forget()
      // Values whose slave is someone else's, or unsure, by the end of the batch are no values.
      if (batch.fault !== undefined && NOT_THE_METER.has(batch.fault.code)) return fail(batch.fault)
      const values =
        batch.oldest === undefined
          ? []
          : counters.keepRising(
              there.flatMap(({ channel }) => batch.values.get(channel) ?? []),
              batch.oldest,
            )
      if (values.length === 0 || batch.oldest === undefined)
        return fail(batch.fault ?? { code: 'meter.nothing-certain', page: page.name, unit })
      return ok({
        meterId: batch.meterId,
        taken: later(clock.now(), batch.oldest - clock.mono()),
        takenMono: batch.oldest,
        values,
        rawHash: sha256(concat(...batch.frames)),
      })
    },
    // The line belongs to the master, which serves others too.
    close: async () => {},
  }
}
