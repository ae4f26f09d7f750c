/** A meter read through a Modbus master: its page says which registers, this says when they may be believed. */
import { concat } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { decodeNumber } from '../../protocol/modbus/value.ts'
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import type { MeterValue } from '../../protocol/telegram/obis.ts'
import { later, type Mono } from '../../protocol/time.ts'
import type { ModbusMaster, RegisterBlock } from '../modbus/master.ts'
import { silenceOf } from '../modbus/rtu-exchange.ts'
import type { Clock, Log, Meter, MeterReading } from '../ports.ts'
import { createCounterWatch } from './counters.ts'
import { CHANNELS, type Channel, formatOf, identityText, type MeterPage, type Span, scalerOf } from './page.ts'
import { holesIn, planReads, requestCost } from './plan.ts'

export interface ModbusMeterParts {
  readonly master: ModbusMaster
  readonly page: MeterPage
  readonly unit: number
  readonly clock: Clock
  /** Of the line that the master works on; decides how reads are joined. */
  readonly characterMs: number
  /** The identity that this meter must have; without one, the first seen is pinned until restart. */
  readonly meterId?: string
  /** The quantities wanted; all that the page has when left out. */
  readonly channels?: readonly Channel[]
  readonly log?: Log
}

/** A batch is tried again once, in other lengths, when an answer stayed out. */
const ATTEMPTS = 2
/** Exceptions by which a meter refuses registers that it does not have. */
const NO_SUCH_REGISTER: ReadonlySet<unknown> = new Set([2, 3])

interface Batch {
  readonly frames: Uint8Array[]
  readonly values: Map<Channel, MeterValue>
  /** When the oldest frame that gave a value was heard. */
  oldest: Mono | undefined
  meterId: string
  fault: Fault | undefined
}

export function createModbusMeter(parts: ModbusMeterParts): Meter {
  const { master, page, unit, clock, log } = parts
  const channels = (parts.channels ?? (Object.keys(CHANNELS) as Channel[])).filter(
    channel => page.registers[channel] !== undefined,
  )
  const cost = requestCost(parts.characterMs, silenceOf(parts.characterMs), page.turnaroundMs)
  const counters = createCounterWatch(`${page.name} unit ${unit}`, log)
  /** Holes that the meter was seen to refuse, or that its page forbids. */
  let forbidden: readonly Span[] =
    page.holes === 'forbidden'
      ? (['holding', 'input'] as const).flatMap(table => holesIn({ table, address: 0, count: 0x1_0000 }, allSpans()))
      : []
  /** Values of another table than the identity's never look like it, whatever their length. */
  const canary = allSpans().some(({ table }) => table === page.identity.table) ? 'shared' : 'alone'
  let pinned = parts.meterId

  function allSpans(): Span[] {
    return channels.map(channel => page.registers[channel]!)
  }

  const plan = (wanted: readonly Channel[]) =>
    planReads(
      wanted.map(channel => page.registers[channel]!),
      {
        maxRegisters: page.maxRegisters,
        requestCost: cost,
        forbidden,
        avoid: ({ table, count }) => master.isQuarantined(unit, table, count),
      },
    )

  /** The identity register, read with every batch: it shows whose values these are, and that the slave keeps up. */
  async function identify(batch: Batch): Promise<Fault | undefined> {
    const { table, address, count } = page.identity
    const block = await master.readRegisters(unit, table, address, count, { canary })
    if (!block.ok) return block.fault
    const seen = identityText(page, block.value.bytes)
    if (seen === undefined) return { code: 'meter.no-identity', page: page.name, unit }
    pinned ??= seen
    if (seen !== pinned) return { code: 'meter.identity', page: page.name, unit, expected: pinned, received: seen }
    batch.meterId = seen
    batch.frames.push(block.value.frame)
    return undefined
  }

  function take(batch: Batch, island: Span, block: RegisterBlock, wanted: readonly Channel[]): void {
    batch.frames.push(block.frame)
    batch.oldest ??= block.at
    for (const channel of wanted) {
      const register = page.registers[channel]!
      const from = 2 * (register.address - island.address)
      if (!covers(island, register)) continue
      const value = decodeNumber(block.bytes.subarray(from, from + 2 * register.count), formatOf(page, register))
      if (value === undefined) continue
      const { obis } = CHANNELS[channel]
      batch.values.set(channel, { obis, value, scaler: scalerOf(page, register), unit: register.unit.unit })
    }
  }

  /** Reads what is still wanted; returns what is wanted after that. */
  async function attempt(batch: Batch, wanted: readonly Channel[]): Promise<readonly Channel[]> {
    batch.fault = await identify(batch)
    if (batch.fault !== undefined) return wanted
    const islands = plan(wanted)
    if (islands === undefined) {
      batch.fault = { code: 'meter.no-safe-plan', page: page.name, unit }
      return wanted
    }
    let left = wanted
    for (const island of islands) {
      const block = await master.readRegisters(unit, island.table, island.address, island.count)
      if (block.ok) {
        take(batch, island, block.value, left)
        left = left.filter(channel => !covers(island, page.registers[channel]!))
        continue
      }
      batch.fault = block.fault
      if (block.fault.code === 'modbus.exception' && NO_SUCH_REGISTER.has(block.fault['exception']))
        forbidden = [...forbidden, ...holesIn(island, allSpans())]
      // What comes after a timeout is refused until the canary is read again: the next attempt does.
      else if (block.fault.code !== 'modbus.exception') return left
    }
    return left
  }

  return {
    page: page.name,
    read: async (): Promise<Result<MeterReading>> => {
      const batch: Batch = { frames: [], values: new Map(), oldest: undefined, meterId: '', fault: undefined }
      let wanted: readonly Channel[] = channels
      for (let tries = 0; tries < ATTEMPTS && wanted.length > 0; tries++) wanted = await attempt(batch, wanted)
      // Values whose slave is someone else's, or unsure, by the end of the batch are no values.
      if (batch.fault?.code === 'meter.identity') return fail(batch.fault)
      const values = counters.keepRising(
        channels.flatMap(channel => {
          const value = batch.values.get(channel)
          return value === undefined ? [] : [value]
        }),
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

const covers = (island: Span, { table, address, count }: Span): boolean =>
  table === island.table && address >= island.address && address + count <= island.address + island.count
