/**
 * One OCMF record, `OCMF|payload|signature`, strictly read. The payload's bytes as sent are what is signed, so they are
 * kept beside what they say. A pipe may stand nowhere else (chapter "JSON based OCMF format": the character is not allowed
 * within the sections), not even in a JSON string, where \u007c writes it: so a record has three sections or is none, and
 * nothing can be hung on behind the signature.
 */
import { type Json, type JsonFault, readJson } from './json.ts'
import {
  END_REASONS,
  ID_LEVELS,
  type LossCompensation,
  METER_STATES,
  type MeterState,
  OCMF_VERSIONS,
  type OcmfPayload,
  REASONS,
  type ReadingEntry,
  type Reason,
  type SignatureSection,
} from './payload.ts'
import {
  type Decimal,
  isPlain,
  type RegisterName,
  readDecimal,
  readRegisterName,
  readTime,
  shown,
  type WrittenTime,
} from './values.ts'

type Section = 'payload' | 'signature'

/** `field` is a path such as `RD[1].TM`; `found` is what stands there, cut to a length fit for a line. */
export type OcmfFault =
  | { readonly code: 'ocmf.header'; readonly hint: string }
  | { readonly code: 'ocmf.sections'; readonly found: number; readonly expected: number; readonly hint: string }
  | ({ readonly section: Section } & JsonFault)
  | { readonly code: 'ocmf.version'; readonly found: string | undefined; readonly expected: readonly string[] }
  | { readonly code: 'ocmf.field'; readonly field: string; readonly expected: string; readonly found: string }
  | { readonly code: 'ocmf.field-missing'; readonly field: string }
  | { readonly code: 'ocmf.serial-missing'; readonly hint: string }
  | { readonly code: 'ocmf.reason-unexpected'; readonly field: string; readonly page: string }

/** An entry of RD with what it inherits from the entries before it. */
export interface Reading {
  readonly time: WrittenTime
  /** Absent in records outside of transactions. */
  readonly reason?: Reason
  readonly isEnd: boolean
  /** Absent where an entry reports an event only. */
  readonly value?: Decimal
  readonly register?: RegisterName
  readonly unit?: string
  /** Energy lost in the cable since the begin. */
  readonly loss?: Decimal
  /** EF: quantities that are not usable. */
  readonly errors: string
  readonly state: MeterState
  readonly eventCount?: string
}

export interface OcmfRecord {
  /** What is signed: these characters in UTF-8. */
  readonly payloadText: string
  readonly payload: OcmfPayload
  readonly page: { readonly context: 'T' | 'F'; readonly number: bigint }
  readonly readings: readonly Reading[]
  readonly signature: SignatureSection
  /** How SA in the payload names the way of signing: 0.4 and 0.5 have it there, signed. */
  readonly signedAlgorithm?: string
}

export interface ParsedOcmf {
  /** Absent where a rule is broken. */
  readonly record?: OcmfRecord
  readonly broken: readonly OcmfFault[]
}

/** Blanks and line ends around the record are a file's and not the record's; within it every character counts. */
export function parseOcmf(text: string): ParsedOcmf {
  const sections = text.trim().split('|')
  const [header, payloadText, signatureText] = sections
  if (header !== 'OCMF') return { broken: [{ code: 'ocmf.header', hint: 'a record begins with OCMF|' }] }
  if (sections.length !== 3 || payloadText === undefined || signatureText === undefined) {
    const hint = 'a record is OCMF|payload|signature, and holds no other pipe'
    return { broken: [{ code: 'ocmf.sections', found: sections.length, expected: 3, hint }] }
  }
  const broken: OcmfFault[] = []
  const payload = readSection(payloadText, 'payload', broken)
  const signature = readSection(signatureText, 'signature', broken)
  const signed = payload && readPayload(payload)
  const section = signature && readSignature(signature)
  if (broken.length > 0 || signed === undefined || section === undefined) return { broken }
  return { record: { payloadText, ...signed, signature: section }, broken }
}

function readSection(text: string, section: Section, broken: OcmfFault[]): Fields | undefined {
  const json = readJson(text)
  if (json.ok && json.value.kind === 'object') return new Fields(json.value.members, '', broken)
  broken.push(json.ok ? { code: 'json.syntax', section, at: 0, expected: 'an object' } : { section, ...json.fault })
  return undefined
}

function readSignature(fields: Fields): SignatureSection | undefined {
  const SA = fields.text('SA')
  const SE = fields.oneOf('SE', ['hex', 'base64'] as const)
  fields.oneOf('SM', ['application/x-der'] as const)
  const SD = fields.required('SD', fields.text('SD'))
  return SD === undefined ? undefined : compact({ SA, SE, SD })
}

function readPayload(fields: Fields): Omit<OcmfRecord, 'payloadText' | 'signature'> | undefined {
  const { broken } = fields
  const written = fields.text('FV')
  const FV = OCMF_VERSIONS.find(version => version === written)
  // The defaults of a record hang on its version, so one without is not read.
  if (FV === undefined) broken.push({ code: 'ocmf.version', found: written && shown(written), expected: OCMF_VERSIONS })
  // The fields were renamed and IS parted into IS and IL with 0.4; records of 0.4 in both forms are about.
  const isOld = FV === '0.1' || FV === '0.2' || FV === '0.3' || FV === '0.4'
  const texts = (...names: readonly string[]) =>
    compact(Object.fromEntries(names.map(name => [name, fields.text(name)])))
  const PG = fields.required('PG', fields.matching('PG', /^[TF](?:0|[1-9]\d{0,18})$/, 'T or F and a number'))
  const hasLevelInStatus = isOld && fields.isText('IS')
  const identified = {
    GI: fields.text('GI') ?? (isOld ? fields.text('VI') : undefined),
    GV: fields.text('GV') ?? (isOld ? fields.text('VV') : undefined),
    IL: fields.oneOf(hasLevelInStatus ? 'IS' : 'IL', ID_LEVELS),
    IS: hasLevelInStatus ? undefined : fields.boolean('IS'),
  }
  const serials = { GS: fields.plain('GS'), MS: fields.plain('MS') }
  if (!serials.GS && !serials.MS)
    broken.push({ code: 'ocmf.serial-missing', hint: 'a record names its station (GS) or its meter (MS)' })
  const entries = fields.list('RD')
  const RD: ReadingEntry[] = []
  const readings: Reading[] = []
  let before: ReadingEntry = {}
  for (const [i, item] of (entries ?? []).entries()) {
    const path = `RD[${i}]`
    if (item.kind !== 'object') fields.refuse(path, 'an object', item)
    else {
      const entry = readEntry(new Fields(item.members, `${path}.`, broken))
      // RV and CL belong to one moment: left out, they are not known, and an old value is never taken for a new one.
      before = { ...before, RV: undefined, CL: undefined, ...entry } as ReadingEntry
      RD.push(entry)
      const reading = readReading(before, path, PG, broken)
      if (reading !== undefined) readings.push(reading)
    }
  }
  if (entries === undefined || entries.length === 0) broken.push({ code: 'ocmf.field-missing', field: 'RD' })
  const payload = compact({
    ...texts('MV', 'MM', 'MF', 'IT', 'TT', 'CF', 'CT', 'CI'),
    ...identified,
    ...serials,
    ID: fields.plain('ID'),
    IF: fields.texts('IF'),
    LC: readLoss(fields.member('LC')),
  })
  const signedAlgorithm = FV === '0.4' || FV === '0.5' ? fields.text('SA') : undefined
  if (FV === undefined || PG === undefined || broken.length > 0) return undefined
  return {
    payload: { FV, PG, ...payload, RD },
    page: { context: PG[0] as 'T' | 'F', number: BigInt(PG.slice(1)) },
    readings,
    ...(signedAlgorithm === undefined ? {} : { signedAlgorithm }),
  }
}

/** RV is a number, or a text where the meter pads it with blanks or zeros. */
function readEntry(fields: Fields): ReadingEntry {
  const state = fields.oneOf('ST', METER_STATES)
  if ((fields.has('RI') || fields.has('RU')) && !(fields.has('RI') && fields.has('RU')))
    fields.broken.push({ code: 'ocmf.field-missing', field: fields.path + (fields.has('RI') ? 'RU' : 'RI') })
  return compact({
    TM: fields.text('TM'),
    TX: fields.oneOf('TX', REASONS),
    RV: fields.decimal('RV'),
    RI: fields.text('RI'),
    RU: fields.plain('RU'),
    RT: fields.text('RT'),
    CL: fields.decimal('CL'),
    EF: fields.matching('EF', /^[Et]*$/, 'E and t only'),
    ST: state,
    EI: fields.decimal('EI'),
  })
}

/** The meaning of an entry that has inherited what it leaves out. */
function readReading(
  entry: ReadingEntry,
  path: string,
  page: string | undefined,
  broken: OcmfFault[],
): Reading | undefined {
  const faults: OcmfFault[] = []
  const missing = (name: string) => faults.push({ code: 'ocmf.field-missing', field: `${path}.${name}` })
  const wrong = (name: string, expected: string, found: string) =>
    faults.push({ code: 'ocmf.field', field: `${path}.${name}`, expected, found: shown(found) })
  const time = entry.TM === undefined ? undefined : readTime(entry.TM)
  if (entry.TM === undefined) missing('TM')
  else if (time === undefined) wrong('TM', '2018-07-24T13:22:04,000+0200 and U, I, S or R', entry.TM)
  const register = entry.RI === undefined ? undefined : readRegisterName(entry.RI)
  if (entry.RI !== undefined && register === undefined) wrong('RI', 'an OBIS name', entry.RI)
  if (entry.RV !== undefined && entry.RI === undefined) missing('RI')
  if (entry.ST === undefined) missing('ST')
  if (page?.[0] === 'T' && entry.TX === undefined) missing('TX')
  if (page?.[0] === 'F' && entry.TX !== undefined)
    faults.push({ code: 'ocmf.reason-unexpected', field: `${path}.TX`, page })
  broken.push(...faults)
  if (faults.length > 0 || time === undefined || entry.ST === undefined) return undefined
  return compact({
    time,
    reason: entry.TX,
    isEnd: entry.TX !== undefined && END_REASONS.includes(entry.TX),
    value: entry.RV === undefined ? undefined : readDecimal(entry.RV),
    register,
    unit: entry.RU,
    loss: entry.CL === undefined ? undefined : readDecimal(entry.CL),
    errors: entry.EF ?? '',
    state: entry.ST,
    eventCount: entry.EI,
  })
}

function readLoss(fields: Fields | undefined): LossCompensation | undefined {
  if (fields === undefined) return undefined
  const LU = fields.required('LU', fields.oneOf('LU', ['mOhm', 'uOhm'] as const))
  const LR = fields.required('LR', fields.decimal('LR'))
  const rest = compact({ LN: fields.text('LN'), LI: fields.decimal('LI') })
  return LU === undefined || LR === undefined ? undefined : { LR, LU, ...rest }
}

/** Members of one object, read by their type: a member of another type is a fault, an absent one is none. */
class Fields {
  readonly path: string
  readonly broken: OcmfFault[]
  private readonly members: ReadonlyMap<string, Json>

  constructor(members: ReadonlyMap<string, Json>, path: string, broken: OcmfFault[]) {
    this.members = members
    this.path = path
    this.broken = broken
  }

  has(name: string): boolean {
    return this.members.has(name)
  }

  isText(name: string): boolean {
    return this.members.get(name)?.kind === 'text'
  }

  refuse(name: string, expected: string, found: Json): undefined {
    const what = found.kind === 'text' || found.kind === 'number' ? found.text : found.kind
    this.broken.push({ code: 'ocmf.field', field: this.path + name, expected, found: shown(what) })
    return undefined
  }

  required<T>(name: string, value: T | undefined): T | undefined {
    if (!this.has(name)) this.broken.push({ code: 'ocmf.field-missing', field: this.path + name })
    return value
  }

  text(name: string): string | undefined {
    const found = this.members.get(name)
    if (found === undefined) return undefined
    return found.kind === 'text' ? found.text : this.refuse(name, 'a text', found)
  }

  /** Text that a verdict repeats. */
  plain(name: string): string | undefined {
    const text = this.text(name)
    return text === undefined || isPlain(text)
      ? text
      : this.refuse(name, 'no control characters', this.members.get(name)!)
  }

  boolean(name: string): boolean | undefined {
    const found = this.members.get(name)
    if (found === undefined) return undefined
    return found.kind === 'boolean' ? found.value : this.refuse(name, 'true or false', found)
  }

  matching(name: string, pattern: RegExp, expected: string): string | undefined {
    const text = this.text(name)
    return text === undefined || pattern.test(text) ? text : this.refuse(name, expected, this.members.get(name)!)
  }

  oneOf<T extends string>(name: string, known: readonly T[]): T | undefined {
    const text = this.text(name)
    const value = known.find(each => each === text)
    return text === undefined || value !== undefined
      ? value
      : this.refuse(name, known.join(' '), this.members.get(name)!)
  }

  /** The digits of a number, or of a text that is one between blanks. */
  decimal(name: string): string | undefined {
    const found = this.members.get(name)
    if (found === undefined) return undefined
    const written = found.kind === 'number' || found.kind === 'text' ? found.text : ''
    return readDecimal(written) === undefined ? this.refuse(name, 'a decimal number', found) : written.trim()
  }

  list(name: string): readonly Json[] | undefined {
    const found = this.members.get(name)
    if (found === undefined) return undefined
    return found.kind === 'list' ? found.items : this.refuse(name, 'a list', found)
  }

  texts(name: string): readonly string[] | undefined {
    return this.list(name)?.flatMap(item => {
      if (item.kind === 'text') return [item.text]
      this.refuse(name, 'a list of texts', item)
      return []
    })
  }

  member(name: string): Fields | undefined {
    const found = this.members.get(name)
    if (found === undefined) return undefined
    return found.kind === 'object'
      ? new Fields(found.members, `${this.path}${name}.`, this.broken)
      : this.refuse(name, 'an object', found)
  }
}

type Compact<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>
}

/** The object without its members that are undefined: what is missing is absent. */
const compact = <T extends object>(object: T): Compact<T> =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as Compact<T>
