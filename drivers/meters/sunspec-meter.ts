/**
 * A meter, inverter or battery that describes itself (SunSpec): its models are found once, then the wanted one is read together
 * with the maker's name and serial number in front of it.
 */
import { concat, equalBytes } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import { type Model, modelOf } from '../../protocol/sunspec/models.ts'
import {
  cutsOf,
  type ModelReading,
  meterRegisters,
  meterValues,
  modelsOfKind,
  type PointValues,
  type PositivePower,
  readModel,
  repetitionsIn,
} from '../../protocol/sunspec/reading.ts'
import {
  beginWalk,
  commonOf,
  type ModelChain,
  type ModelPlace,
  type RegisterSpan,
  stepWalk,
} from '../../protocol/sunspec/walk.ts'
import { later, type Mono } from '../../protocol/time.ts'
import type { CallOptions, ModbusMaster } from '../modbus/master.ts'
import type { Clock, Log, Meter, MeterReading } from '../ports.ts'
import { createCounterWatch } from './counters.ts'

export interface SunspecMeterParts {
  readonly master: ModbusMaster
  readonly unit: number
  readonly clock: Clock
  /** A model of this kind, or of this id. */
  readonly which: 'meter' | 'inverter' | 'battery' | number
  /** Which of several, counted from 0: an inverter may speak for three meters. */
  readonly nth?: number
  /** `MANUFACTURER SERIAL` of the common model that must be found; without one, the first seen is pinned until restart. */
  readonly meterId?: string
  /** What flows when the power register is positive; known of inverters and assumed of meters, unknown of batteries. */
  readonly positive?: PositivePower
  /** The most registers that the device gives in one answer. */
  readonly maxRegisters?: number
  readonly log?: Log
}

export interface SunspecMeter extends Meter {
  /** Every model that the device has, known or not. */
  models(): Promise<Result<readonly ModelPlace[]>>
  /** All points of a model with this id: the one that this meter is read from, else the first. */
  readPoints(id: number): Promise<Result<ModelReading>>
}

/** The protocol's own limit. */
const MAX_REGISTERS = 125
/** SunSpec spans from one phase of a house to an inverter of a solar park; none of them carries more. */
const MOST_W = 100_000_000
/** Read again once: from the walk on where the models have moved, in other lengths where an answer stayed out. */
const ATTEMPTS = 2
/** The common model up to the end of its serial number. */
const COMMON_REGISTERS = 66
/** Exceptions by which a device says that it has no such registers: 2 by the standard, 3 from devices that judge the span. */
const NO_SUCH_REGISTER: ReadonlySet<unknown> = new Set([2, 3])
/** Faults that show that the models are not, or no longer, where the walk found them. */
const MOVED: ReadonlySet<string> = new Set(['sunspec.moved', 'sunspec.no-register'])

interface Batch {
  readonly frames: Uint8Array[]
  oldest: Mono | undefined
}

interface Identity {
  readonly meterId: string
  /** Who made the device that serves the models, and so decides which way a meter behind it counts. */
  readonly server: string
}

interface Found extends Identity {
  readonly reading: ModelReading
}

export function createSunspecMeter(parts: SunspecMeterParts): SunspecMeter {
  const { master, unit, clock, which, nth = 0, positive, maxRegisters = MAX_REGISTERS, log } = parts
  const name = `sunspec-${which}`
  const counters = createCounterWatch(`${name} unit ${unit}`, log, MOST_W)
  let pinned = parts.meterId
  let chain: ModelChain | undefined
  let server: string | undefined

  async function read(batch: Batch, span: RegisterSpan, options?: CallOptions): Promise<Result<Uint8Array>> {
    const block = await master.readRegisters(unit, 'holding', span.address, span.count, options)
    if (block.ok) {
      batch.frames.push(block.value.frame)
      batch.oldest ??= block.value.asked
      return ok(block.value.bytes)
    }
    const { fault } = block
    if (fault.code === 'modbus.exception' && NO_SUCH_REGISTER.has(fault['exception']))
      return fail({ code: 'sunspec.no-register', unit, address: span.address, count: span.count })
    return fail(fault)
  }

  async function walk(): Promise<Result<ModelChain>> {
    const batch: Batch = { frames: [], oldest: undefined }
    let step = beginWalk()
    while (step.kind === 'read') {
      // The marker shows by itself that this slave keeps up; a header does not.
      const bytes = await read(batch, step.span, step.state.at === undefined ? { canary: 'shared' } : undefined)
      if (!bytes.ok && bytes.fault.code !== 'sunspec.no-register') return bytes
      step = stepWalk(step.state, bytes.ok ? bytes.value : 'refused')
    }
    if (step.chain.ok) {
      chain = step.chain.value
      const models = chain.models.map(({ id }) => String(id))
      log?.('info', 'meters', `${name} unit ${unit} has models ${models.join(' ')}`)
    }
    return step.chain
  }

  /** Whether `bytes` begin with the id and the length that the walk saw there. */
  function checkPlace({ id, address, length }: ModelPlace, bytes: Uint8Array): Fault | undefined {
    const header = new DataView(bytes.buffer, bytes.byteOffset)
    return header.getUint16(0) === id && header.getUint16(2) === length
      ? undefined
      : { code: 'sunspec.moved', unit, address, expected: id, received: header.getUint16(0) }
  }

  async function readCommon(batch: Batch, common: ModelPlace, options?: CallOptions): Promise<Result<PointValues>> {
    const bytes = await read(batch, { address: common.address, count: COMMON_REGISTERS }, options)
    if (!bytes.ok) return bytes
    const moved = checkPlace(common, bytes.value)
    if (moved !== undefined) return fail(moved)
    const reading = readModel(bytes.value)
    return reading.ok ? ok(reading.value.points) : reading
  }

  async function identify(batch: Batch, { models }: ModelChain, common: ModelPlace): Promise<Result<Identity>> {
    const points = await readCommon(batch, common, { canary: 'shared' })
    if (!points.ok) return points
    const manufacturer = textOf(points.value, 'Mn')
    const serial = textOf(points.value, 'SN')
    if (manufacturer === undefined || serial === undefined) return fail({ code: 'meter.no-identity', page: name, unit })
    const seen = `${manufacturer} ${serial}`
    pinned ??= seen
    if (seen !== pinned) return fail({ code: 'meter.identity', page: name, unit, expected: pinned, received: seen })
    if (server === undefined) {
      const head = models[0]!.address === common.address ? points : await readCommon(batch, models[0]!)
      if (!head.ok) return head
      server = textOf(head.value, 'Mn')
    }
    return server === undefined ? fail({ code: 'meter.no-identity', page: name, unit }) : ok({ meterId: seen, server })
  }

  /** Requests that together read the first `count` registers of a model, none of whose points is cut in two. */
  function plan(place: ModelPlace, model: Model, count: number): readonly RegisterSpan[] | undefined {
    const cuts = [...cutsOf(model, place.length).filter(cut => cut < count), count]
    for (let most = Math.min(maxRegisters, count); most > 0; most--) {
      const spans: RegisterSpan[] = []
      let from = 0
      while (from < count) {
        const to = cuts.findLast(cut => cut > from && cut <= from + most)
        if (to === undefined) return undefined
        spans.push({ address: place.address + from, count: to - from })
        from = to
      }
      if (!spans.some(span => master.isQuarantined(unit, 'holding', span.count))) return spans
    }
    return undefined
  }

  /** The first `count` registers of a model. Its scale factors are those that hold for every value, or it is a fault. */
  async function readRegisters(
    batch: Batch,
    place: ModelPlace,
    model: Model,
    count: number,
  ): Promise<Result<Uint8Array>> {
    const spans = plan(place, model, count)
    if (spans === undefined) return fail({ code: 'meter.no-safe-plan', page: name, unit })
    const blocks: Uint8Array[] = []
    for (const span of spans) {
      const block = await read(batch, span)
      if (!block.ok) return block
      blocks.push(block.value)
    }
    const bytes = concat(...blocks)
    const moved = checkPlace(place, bytes)
    if (moved !== undefined) return fail(moved)
    if (spans.length === 1) return ok(bytes)
    // Read at different moments, values and scale factors may belong to different readings: the factors must have stood still.
    const scales = model.points.filter(({ type, offset }) => type === 'sunssf' && offset < count)
    const at = (offset: number): number => place.address + offset
    let still = true
    for (const { address, count: length } of spans) {
      const inside = scales.filter(({ offset }) => at(offset) >= address && at(offset) < address + length)
      if (inside.length === 0) continue
      const again = await read(batch, { address, count: length })
      if (!again.ok) return again
      const word = (from: Uint8Array, register: number): Uint8Array => from.subarray(2 * register, 2 * register + 2)
      still &&= inside.every(({ offset }) => equalBytes(word(bytes, offset), word(again.value, at(offset) - address)))
    }
    return still ? ok(bytes) : fail({ code: 'sunspec.scale-moved', unit, model: place.id })
  }

  function choose({ models }: ModelChain, wanted: SunspecMeterParts['which']): Result<ModelPlace> {
    const ids = typeof wanted === 'number' ? [wanted] : modelsOfKind(wanted)
    const place = ids.flatMap(id => models.filter(model => model.id === id))[wanted === which ? nth : 0]
    return place === undefined
      ? fail({ code: 'sunspec.no-such-model', unit, wanted, has: models.map(({ id }) => String(id)) })
      : ok(place)
  }

  async function attempt(batch: Batch, wanted: SunspecMeterParts['which'], whole: boolean): Promise<Result<Found>> {
    const found = chain === undefined ? await walk() : ok(chain)
    if (!found.ok) return found
    const place = choose(found.value, wanted)
    if (!place.ok) return place
    const { id, length } = place.value
    const model = modelOf(id)
    if (model === undefined) return fail({ code: 'sunspec.unknown-model', unit, model: id })
    if (repetitionsIn(model, length) === undefined)
      return fail({ code: 'sunspec.model-length', unit, model: id, length, expected: model.lengths[0]! })
    const identity = await identify(batch, found.value, commonOf(found.value, place.value))
    if (!identity.ok) return identity
    const count = whole ? 2 + length : meterRegisters(model)
    if (count === 0) return fail({ code: 'sunspec.no-meter-model', unit, model: id })
    const bytes = await readRegisters(batch, place.value, model, count)
    if (!bytes.ok) return bytes
    const reading = readModel(bytes.value)
    return reading.ok ? ok({ ...identity.value, reading: reading.value }) : reading
  }

  async function readModelOnce(
    wanted: SunspecMeterParts['which'],
    whole: boolean,
  ): Promise<{ readonly batch: Batch; readonly found: Result<Found> }> {
    for (let tries = 1; ; tries++) {
      const batch: Batch = { frames: [], oldest: undefined }
      const found = await attempt(batch, wanted, whole)
      if (!found.ok && MOVED.has(found.fault.code)) chain = server = undefined
      if (found.ok || found.fault.code === 'meter.identity' || tries === ATTEMPTS) return { batch, found }
    }
  }

  return {
    page: name,
    models: async () => {
      const found = chain === undefined ? await walk() : ok(chain)
      return found.ok ? ok(found.value.models) : found
    },
    readPoints: async id => {
      const { found } = await readModelOnce(id, true)
      return found.ok ? ok(found.value.reading) : found
    },
    read: async (): Promise<Result<MeterReading>> => {
      const { batch, found } = await readModelOnce(which, false)
      if (!found.ok) return found
      const { meterId, server, reading } = found.value
      const oldest = batch.oldest ?? clock.mono()
      const values = counters.keepRising(meterValues(reading, server, positive), oldest)
      if (values.length === 0) return fail({ code: 'meter.nothing-certain', page: name, unit })
      return ok({
        meterId,
        taken: later(clock.now(), oldest - clock.mono()),
        takenMono: oldest,
        values,
        rawHash: sha256(concat(...batch.frames)),
      })
    },
    // The line belongs to the master, which serves others too.
    close: async () => {},
  }
}

function textOf(points: PointValues, name: string): string | undefined {
  const point = points.get(name)
  return point?.kind === 'text' ? point.text : undefined
}
