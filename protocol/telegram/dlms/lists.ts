/**
 * What a push says, by how its list is written. A list names its registers and says scaler and unit of each; or it names
 * them and a convention of the maker fixes scaler and unit; or even the order is a convention. A number whose meaning
 * neither the telegram nor a convention below states is no value: nothing here guesses.
 */
import { toHex } from '../../bytes.ts'
import { type Fault, fail, ok, type Result } from '../../result.ts'
import { type MeterValue, type Obis, obisName, UNIT_NAMES, type UnitName } from '../obis.ts'
import type { DescribedValue, Notification } from './apdu.ts'
import { type DlmsData, TAG } from './axdr.ts'

/** What is known of the sender besides the list itself. */
export interface Sender {
  /** Three letters of the system title, of encrypted telegrams. */
  readonly maker: string | undefined
  /** Of the link, as in `LinkFrame`. */
  readonly address: string
}

export interface ListReading {
  readonly meterId: string | undefined
  readonly values: readonly MeterValue[]
  /** The date-time of the clock register, where the list has it. */
  readonly time: Uint8Array | undefined
}

type Quantity = 'active' | 'reactive' | 'current' | 'voltage' | 'factor'
/** Scaler of each quantity that a maker's convention fixes; energy and power of the same quantity differ. */
type Scalers = Partial<Record<`${Quantity}${'' | 'Energy'}`, number>>

interface Convention {
  readonly channel: number
  readonly scalers: Scalers
}

/**
 * Kamstrup OMNIPOWER, list "Kamstrup_V0001": all on channel 1. Energy in 10 Wh, currents in 0.01 A: toreamun/amshan (MIT),
 * han/kamstrup.py; the energies of the phases add up to the total, and the power factors fit in hundredths, in a capture
 * of esphome-libs/dlms_parser (Apache-2.0). Meters for current transformers (type 685...) have currents in 0.001 A: amshan.
 */
const KAMSTRUP: Convention = {
  channel: 1,
  scalers: { active: 0, activeEnergy: 1, reactive: 0, reactiveEnergy: 1, current: -2, voltage: 0, factor: -2 },
}
const KAMSTRUP_CT: Convention = { channel: 1, scalers: { ...KAMSTRUP.scalers, current: -3 } }
/**
 * Landis+Gyr E450 in Austria: pairs after a date-time, W, Wh, var and varh as they stand: esphome-libs/dlms_parser
 * (Apache-2.0), tests/expected/hdlc_landis_gyr_e450.h and the decoded log of that capture. Netz Burgenland,
 * "Spezifikation Kundenschnittstelle E450": not seen.
 */
const LANDIS_GYR_E450: Convention = {
  channel: 0,
  scalers: { active: 0, activeEnergy: 0, reactive: 0, reactiveEnergy: 0 },
}
/** Sagemcom XT211 of the Czech grid operators: W and Wh. Tomer27cz/xt211, README.md. */
const SAGEMCOM_XT211: Convention = { channel: 0, scalers: { active: 0, activeEnergy: 0 } }

/**
 * Kaifa, list "KFM_001" (Norwegian HAN): no names, the order is the meaning. toreamun/amshan (MIT), han/kaifa.py. `id` is
 * the meter's number, `skip` its type and the list's own name and time.
 */
const KFM_HEAD = ['skip', 'id', 'skip', '1-0:1.7.0', '1-0:2.7.0', '1-0:3.7.0', '1-0:4.7.0'] as const
const KFM_ONE_PHASE = [...KFM_HEAD, '1-0:31.7.0', '1-0:32.7.0'] as const
const KFM_THREE_PHASES = [
  ...KFM_HEAD,
  ...['1-0:31.7.0', '1-0:51.7.0', '1-0:71.7.0', '1-0:32.7.0', '1-0:52.7.0', '1-0:72.7.0'],
] as const
const KFM_ENERGY = ['skip', '1-0:1.8.0', '1-0:2.8.0', '1-0:3.8.0', '1-0:4.8.0'] as const
const KFM_LISTS: readonly (readonly string[])[] = [
  KFM_ONE_PHASE,
  KFM_THREE_PHASES,
  [...KFM_ONE_PHASE, ...KFM_ENERGY],
  [...KFM_THREE_PHASES, ...KFM_ENERGY],
]
const KFM: Convention = {
  channel: 0,
  scalers: { active: 0, activeEnergy: 0, reactive: 0, reactiveEnergy: 0, current: -3, voltage: -1 },
}
/** The only name that Kaifa's shortest list has: client 1, server 1 with lower address 0x10, as in its longer ones. */
const KFM_ADDRESS = /^010201\//

/** Registers that say whose telegram it is, the best first. Kamstrup: GS1 number, serial number. */
const IDENTITIES: readonly Obis[] = [
  ...['0-0:96.1.0', '1-0:96.1.0', '0-0:42.0.0', '0-0:96.1.1'],
  ...['1-1:0.0.5', '1-1:0.0.1'],
]
/** The clock, Kamstrup's on channel 1. */
const CLOCKS = ['0-0:1.0.0', '0-1:1.0.0']
const KAMSTRUP_TYPE = '1-1:96.1.1'
const REGISTER_CLASSES = new Set([3, 4])

/** Gathers values and identities on the way through a list. */
class Draft {
  readonly values: MeterValue[] = []
  readonly identities = new Map<string, string>()
  clash: string | undefined
  private time: Uint8Array | undefined

  add(obis: Obis, value: bigint, scaler: number, unit: UnitName): void {
    const before = this.values.find(one => one.obis === obis)
    if (before === undefined) this.values.push({ obis, value, scaler, unit })
    // The same register twice with two values: at least one is wrong, and nothing says which.
    else if (before.value !== value || before.scaler !== scaler || before.unit !== unit) this.clash ??= obis
  }

  /** By the scaler and unit that the telegram states. */
  stated(obis: Obis, value: DlmsData, scalerUnit: DlmsData): void {
    const [scaler, code] = scalerUnit.kind === 'list' ? scalerUnit.items : []
    if (value.kind !== 'integer' || scaler?.kind !== 'integer' || code?.kind !== 'enum') return
    const unit = UNIT_NAMES.get(code.value)
    if (unit !== undefined && scaler.value >= -9n && scaler.value <= 9n)
      this.add(obis, value.value, Number(scaler.value), unit)
  }

  /** By a convention; a register that it does not cover is absent. */
  agreed(name: Uint8Array, value: DlmsData, { channel, scalers }: Convention): void {
    if (value.kind !== 'integer' || name[0] !== 1 || name[1] !== channel || name[5] !== 0xff) return
    const meaning = meaningOf(name)
    if (meaning === undefined) return
    const scaler = scalers[meaning.scaledAs]
    if (scaler !== undefined) this.add(obisName(name), value.value, scaler, meaning.unit)
  }

  /** Whose the telegram is, and when it was made. */
  identity(obis: Obis, value: DlmsData): void {
    if (CLOCKS.includes(obis) && isDateTime(value)) this.time ??= value.bytes
    if (!IDENTITIES.includes(obis) && obis !== KAMSTRUP_TYPE) return
    const id = value.kind === 'integer' ? String(value.value) : (idText(value) ?? idHex(value))
    if (id !== undefined && !this.identities.has(obis)) this.identities.set(obis, id)
  }

  result(fallback?: string): Result<ListReading> {
    if (this.clash !== undefined) return fail<Fault>({ code: 'dlms.twice', obis: this.clash })
    const best = IDENTITIES.find(obis => this.identities.has(obis))
    return ok({
      meterId: best === undefined ? fallback : this.identities.get(best),
      values: this.values,
      time: this.time,
    })
  }
}

/** Quantity and unit of an OBIS name of electricity (IEC 62056-6-1, groups C, D and E), of those that conventions use. */
function meaningOf(name: Uint8Array): { readonly scaledAs: keyof Scalers; readonly unit: UnitName } | undefined {
  const [, , c, d, e] = name as unknown as readonly [number, number, number, number, number]
  // 1..10 of all phases, 21..30, 41..50 and 61..70 of one, and so on with 11..13.
  if (c === 0 || c > 80) return undefined
  const kind = ((c - 1) % 20) + 1
  if (d === 8) {
    if (kind === 1 || kind === 2) return { scaledAs: 'activeEnergy', unit: 'Wh' }
    return kind === 3 || kind === 4 ? { scaledAs: 'reactiveEnergy', unit: 'varh' } : undefined
  }
  if (d !== 7 || e !== 0) return undefined
  if (kind === 1 || kind === 2) return { scaledAs: 'active', unit: 'W' }
  if (kind === 3 || kind === 4) return { scaledAs: 'reactive', unit: 'var' }
  if (kind === 11) return { scaledAs: 'current', unit: 'A' }
  if (kind === 12) return { scaledAs: 'voltage', unit: 'V' }
  return kind === 13 ? { scaledAs: 'factor', unit: '1' } : undefined
}

/** Reads a notification's body. */
export function readList({ body }: Notification, sender: Sender): Result<ListReading> {
  const draft = new Draft()
  if (body.kind === 'described') return readDescribed(body.items, draft, SAGEMCOM_XT211)
  if (body.kind !== 'list') return draft.result()
  const { items } = body
  const first = items[0]
  const head = first && idText(first)
  if (head === 'KFM_001') return readKfm(items, draft)
  if (isKfmPower(items, sender)) {
    draft.agreed(Uint8Array.of(1, 0, 1, 7, 0, 0xff), items[0]!, KFM)
    return draft.result()
  }
  const pairs = head === 'Kamstrup_V0001' || isDateTime(first) ? readPairs(items.slice(1)) : undefined
  if (head === 'Kamstrup_V0001' && pairs !== undefined) {
    for (const [name, value] of pairs) draft.identity(obisName(name), value)
    const transformers = draft.identities.get(KAMSTRUP_TYPE)?.startsWith('685')
    for (const [name, value] of pairs) draft.agreed(name, value, transformers ? KAMSTRUP_CT : KAMSTRUP)
    return draft.result()
  }
  if (pairs !== undefined && sender.maker === 'LGZ') {
    for (const [name, value] of pairs) {
      draft.identity(obisName(name), value)
      draft.agreed(name, value, LANDIS_GYR_E450)
    }
    return draft.result()
  }
  const pushed = readPushObject(items)
  if (pushed !== undefined) return readDescribed(pushed, draft, undefined)
  readNamed(items, draft)
  // Netz Niederoesterreich has the meter's number last and nameless ("Kundenschnittstelle", 3rd edition, 2022; not seen).
  const last = items.length > 1 && draft.values.length > 0 ? items.at(-1) : undefined
  return draft.result(last?.kind === 'octets' ? idText(last) : undefined)
}

/** Names, each with its value and perhaps scaler and unit, in one row or each in a structure of its own, or both mixed. */
function readNamed(items: readonly DlmsData[], draft: Draft): void {
  for (let at = 0; at < items.length; ) {
    const item = items[at]!
    const value = items[at + 1]
    if (item.kind === 'list') readNamed(item.items, draft)
    if (!isName(item) || value === undefined || value.kind === 'list') {
      at++
      continue
    }
    const obis = obisName(item.bytes)
    draft.identity(obis, value)
    const scalerUnit = items[at + 2]
    const scaled = scalerUnit !== undefined && isScalerUnit(scalerUnit)
    if (scaled) draft.stated(obis, value, scalerUnit)
    at += scaled ? 3 : 2
  }
}

/** Names and values in turns and nothing else; a pair of nulls stands for a register that the meter has not. */
function readPairs(items: readonly DlmsData[]): readonly (readonly [Uint8Array, DlmsData])[] | undefined {
  if (items.length % 2 !== 0) return undefined
  const pairs: (readonly [Uint8Array, DlmsData])[] = []
  for (let at = 0; at < items.length; at += 2) {
    const [name, value] = [items[at]!, items[at + 1]!]
    if (name.kind === 'null' && value.kind === 'null') continue
    if (!isName(name) || value.kind === 'list') return undefined
    pairs.push([name.bytes, value])
  }
  return pairs
}

/** A list that begins with its own description, class, name, attribute and index of each element (push setup, class 40). */
function readPushObject(items: readonly DlmsData[]): readonly DescribedValue[] | undefined {
  const [head, ...rest] = items
  if (head?.kind !== 'list' || head.items.length === 0) return undefined
  const objects = head.items.map(item => {
    const [classId, name, attribute, index] = item.kind === 'list' ? item.items : []
    if (classId?.kind !== 'integer' || classId.tag !== TAG.uint16 || name === undefined || !isName(name))
      return undefined
    if (attribute?.kind !== 'integer' || attribute.tag !== TAG.int8 || index?.kind !== 'integer') return undefined
    return { classId: Number(classId.value), name: name.bytes, attribute: Number(attribute.value), index: index.value }
  })
  // The description may be one of what it describes.
  const values = objects.length === items.length ? items : objects.length === rest.length ? rest : undefined
  if (values === undefined) return undefined
  const described: DescribedValue[] = []
  for (const [at, object] of objects.entries()) {
    if (object === undefined) return undefined
    // Part of an attribute: which is for its class to say.
    if (object.index === 0n) described.push({ ...object, value: values[at]! })
  }
  return described
}

/** Registers by their scaler and unit (attribute 3), where the telegram has it, else by the convention, where there is one. */
function readDescribed(
  items: readonly DescribedValue[],
  draft: Draft,
  convention: Convention | undefined,
): Result<ListReading> {
  const scalerUnits = new Map<string, DlmsData>()
  for (const { classId, name, attribute, value } of items)
    if (REGISTER_CLASSES.has(classId) && attribute === 3 && isScalerUnit(value)) scalerUnits.set(obisName(name), value)
  for (const { classId, name, attribute, value } of items) {
    if (attribute !== 2) continue
    const obis = obisName(name)
    draft.identity(obis, value)
    if (!REGISTER_CLASSES.has(classId)) continue
    const scalerUnit = scalerUnits.get(obis)
    if (scalerUnit !== undefined) draft.stated(obis, value, scalerUnit)
    else if (convention !== undefined && items.length > 1) draft.agreed(name, value, convention)
  }
  return draft.result()
}

function readKfm(items: readonly DlmsData[], draft: Draft): Result<ListReading> {
  const order = KFM_LISTS.find(list => list.length === items.length)
  let id: string | undefined
  for (const [at, place] of (order ?? []).entries()) {
    const item = items[at]!
    if (place === 'id') id = idText(item)
    else if (place !== 'skip') {
      // A list of another order would have its strings elsewhere.
      if (item.kind !== 'integer') return fail({ code: 'dlms.structure', what: 'KFM_001', at })
      draft.agreed(obisOf(place), item, KFM)
    }
  }
  return draft.result(id)
}

/** Kaifa's shortest list, every two seconds: power alone. */
const isKfmPower = (items: readonly DlmsData[], sender: Sender): boolean =>
  items.length === 1 && items[0]!.kind === 'integer' && items[0]!.tag === TAG.uint32 && KFM_ADDRESS.test(sender.address)

/** Of our own tables. */
const obisOf = (name: string): Uint8Array => Uint8Array.from([...name.split(/[-:.]/).map(Number), 0xff])

const isName = (item: DlmsData): item is DlmsData & { kind: 'octets' } =>
  item.kind === 'octets' && item.bytes.length === 6

const isDateTime = (item: DlmsData | undefined): item is DlmsData & { kind: 'octets' } =>
  item?.kind === 'octets' && item.bytes.length === 12

function isScalerUnit(item: DlmsData): boolean {
  if (item.kind !== 'list' || item.items.length !== 2) return false
  const [scaler, unit] = item.items
  return scaler?.kind === 'integer' && scaler.tag === TAG.int8 && unit?.kind === 'enum'
}

/** The printable text of a string, without the zeros and blanks that fill it up; undefined where it is none. */
function idText(item: DlmsData): string | undefined {
  if (item.kind !== 'octets' && item.kind !== 'text') return undefined
  const text = String.fromCharCode(...item.bytes.subarray(0, 64)).replace(/[\0 ]+$/, '')
  return /^[\x20-\x7e]+$/.test(text) ? text : undefined
}

/** Of an octet string that is no text and not empty or all zeros, which is how a number that was never set looks. */
const idHex = (item: DlmsData): string | undefined =>
  item.kind === 'octets' && item.bytes.some(byte => byte !== 0) ? toHex(item.bytes.subarray(0, 64)) : undefined
