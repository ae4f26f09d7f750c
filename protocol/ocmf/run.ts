/** What OCMF records say together: pages without a gap, one station, registers that only grow, whole transactions. */

import type { OcmfRecord, Reading } from './parse.ts'
import type { IdLevel } from './payload.ts'
import { readRegisterName, subtract } from './values.ts'
import type { BrokenRule, ChargedEnergy, Transaction } from './verdict.ts'

export interface NumberedRecord {
  readonly record: OcmfRecord
  /** Place in the file, from 1. */
  readonly number: number
}

/** The transactions that the records make; every rule that they break goes to `broken`. */
export function judgeRun(records: readonly NumberedRecord[], broken: BrokenRule[]): readonly Transaction[] {
  judgeNeighbours(records, broken)
  const transactions = splitTransactions(records, broken)
  judgeRunningRegisters(transactions, broken)
  const fiscal = records.filter(({ record }) => record.page.context === 'F')
  judgeRunningRegisters(
    fiscal.map(each => [each]),
    broken,
  )
  for (const each of fiscal) judgeReadings(each, broken)
  return transactions.map(parts => judgeTransaction(parts, broken))
}

/** Pages count by one in each context; the serials stand still. */
function judgeNeighbours(records: readonly NumberedRecord[], broken: BrokenRule[]): void {
  const pages = new Map<string, bigint>()
  let before: OcmfRecord | undefined
  for (const { record, number } of records) {
    const { context, number: page } = record.page
    const last = pages.get(context)
    if (last !== undefined && page !== last + 1n) {
      const code = page > last ? 'ocmf.page-gap' : 'ocmf.page-back'
      broken.push({ code, record: number, expected: `${context}${last + 1n}`, found: record.payload.PG })
    }
    pages.set(context, page)
    for (const name of ['GS', 'MS'] as const) {
      if (before === undefined || before.payload[name] === record.payload[name]) continue
      const [from, to] = [before.payload[name], record.payload[name]]
      broken.push({ code: 'ocmf.serial-changed', record: number, field: name, from, to })
    }
    before = record
  }
}

/** A record that begins opens a transaction, one that ends closes it. */
function splitTransactions(records: readonly NumberedRecord[], broken: BrokenRule[]): NumberedRecord[][] {
  const transactions: NumberedRecord[][] = []
  let open: NumberedRecord[] | undefined
  for (const [i, numbered] of records.filter(({ record }) => record.page.context === 'T').entries()) {
    const { readings } = numbered.record
    const begins = readings.some(({ reason }) => reason === 'B')
    if (begins && open !== undefined) broken.push({ code: 'ocmf.begun-twice', record: numbered.number })
    // Only the first record of a run may stand in a transaction whose begin was not given.
    if (!begins && open === undefined && i > 0) broken.push({ code: 'ocmf.not-begun', record: numbered.number })
    if (begins || open === undefined) {
      open = []
      transactions.push(open)
    }
    open.push(numbered)
    if (readings.some(({ isEnd }) => isEnd)) open = undefined
  }
  return transactions
}

interface RegisterRun {
  readonly obis: string
  readonly readings: { readonly reading: Reading; readonly record: number }[]
}

/** The readings of a transaction by register, in the order given. Those that report an event only have none. */
function byRegister(parts: readonly NumberedRecord[]): RegisterRun[] {
  const runs = new Map<string, RegisterRun>()
  for (const { record, number } of parts) {
    for (const reading of record.readings) {
      if (reading.register === undefined || reading.value === undefined) continue
      const { obis } = reading.register
      const run = runs.get(obis) ?? { obis, readings: [] }
      runs.set(obis, run)
      run.readings.push({ reading, record: number })
    }
  }
  return [...runs.values()]
}

/** What 1.8.0 stood at when one transaction ended it has at least when the next begins, which is not before. */
function judgeRunningRegisters(transactions: readonly NumberedRecord[][], broken: BrokenRule[]): void {
  const last = new Map<string, Reading>()
  let ended: Reading | undefined
  for (const parts of transactions) {
    const { record, number } = parts[0]!
    const begun = record.readings[0]
    let isJudged = false
    for (const { obis, readings } of byRegister(parts)) {
      const first = readings[0]!
      const before = last.get(obis)
      if (before !== undefined) judgePair(before, first.reading, first.record, broken)
      isJudged ||= before !== undefined
      if (first.reading.register?.runsOn) last.set(obis, readings.at(-1)!.reading)
    }
    // Registers that start anew with each transaction, and readings without any, have their time all the same.
    if (!isJudged && ended !== undefined && begun !== undefined && begun.time.at < ended.time.at)
      broken.push({ code: 'ocmf.time-back', record: number, from: ended.time.text, to: begun.time.text })
    ended = parts.at(-1)!.record.readings.at(-1)
  }
}

/** Two readings of one register, one after the other. */
function judgePair(before: Reading, after: Reading, record: number, broken: BrokenRule[]): void {
  const obis = after.register?.obis
  if (after.time.at < before.time.at)
    broken.push({ code: 'ocmf.time-back', record, obis, from: before.time.text, to: after.time.text })
  if (after.unit !== before.unit)
    broken.push({ code: 'ocmf.unit-changed', record, obis, from: before.unit, to: after.unit })
  else if (isEnergy(after) && subtract(after.value!, before.value!).value < 0n)
    broken.push({ code: 'ocmf.register-fell', record, obis })
}

/** Units of energy (table 20), and the power of ten that makes Wh of them. */
const ENERGY_UNITS: Readonly<Record<string, number>> = { Wh: 0, kWh: 3 }
const isEnergy = (reading: Reading): boolean => Object.hasOwn(ENERGY_UNITS, reading.unit ?? '')

/** States of the identification that make the user doubtful (table 11, group of errors). */
const DOUBTFUL: readonly (IdLevel | undefined)[] = ['MISMATCH', 'INVALID', 'OUTDATED', 'UNKNOWN']

function judgeTransaction(parts: readonly NumberedRecord[], broken: BrokenRule[]): Transaction {
  let user: string | undefined
  for (const { record, number } of parts) {
    const { ID, IL } = record.payload
    if (DOUBTFUL.includes(IL)) broken.push({ code: 'ocmf.identification', record: number, found: IL })
    if (ID && user !== undefined && ID !== user) broken.push({ code: 'ocmf.user-changed', record: number })
    if (ID) user ??= ID
    judgeReadings({ record, number }, broken)
  }
  const all = parts.flatMap(({ record }) => record.readings)
  const begin = all.find(({ reason }) => reason === 'B')
  const end = all.find(({ isEnd }) => isEnd)
  const whole = begin !== undefined && end !== undefined
  const energies: ChargedEnergy[] = []
  for (const run of byRegister(parts)) {
    for (const [i, { reading, record }] of run.readings.entries())
      if (i > 0) judgePair(run.readings[i - 1]!.reading, reading, record, broken)
    const energy = judgeEnds(run, whole, broken)
    if (energy !== undefined) energies.push(energy)
  }
  judgeMeasured(energies, parts.at(-1)!.number, broken)
  const mark = ({ time }: Reading) => ({ at: time.at, quality: time.quality })
  return {
    ...(user === undefined ? {} : { user }),
    ...(begin === undefined ? {} : { begin: mark(begin) }),
    ...(end === undefined ? {} : { end: mark(end) }),
    whole,
    energies,
  }
}

/** B0 and B2 tell one energy, each cut off at its own last digit: further apart, one of them is wrong. */
function judgeMeasured(energies: readonly ChargedEnergy[], record: number, broken: BrokenRule[]): void {
  const told = new Map<string, ChargedEnergy>()
  for (const energy of energies) {
    const measured = readRegisterName(energy.obis)?.measured
    if (measured === undefined) continue
    const other = told.get(measured) ?? energy
    told.set(measured, other)
    const { value, scaler } = subtract(energy, other)
    const digits = 10n ** BigInt(energy.scaler - scaler) + 10n ** BigInt(other.scaler - scaler)
    if (value >= digits || -value >= digits)
      broken.push({ code: 'ocmf.registers-differ', record, obis: energy.obis, from: other.obis })
  }
}

/** Flags with which the station itself says that a reading cannot be used. */
function judgeReadings({ record, number }: NumberedRecord, broken: BrokenRule[]): void {
  for (const [i, { reason, errors, state, loss }] of record.readings.entries()) {
    const at = { record: number, field: `RD[${i}]` }
    if (reason === 'X') broken.push({ code: 'ocmf.exception', ...at })
    if (errors !== '') broken.push({ code: 'ocmf.error-flags', ...at, found: errors })
    if (state !== 'G') broken.push({ code: 'ocmf.meter-state', ...at, found: state })
    // Table 7: the loss that a meter has taken off counts from the begin of the transaction.
    if (reason === 'B' && loss !== undefined && loss.value !== 0n) broken.push({ code: 'ocmf.loss-not-reset', ...at })
  }
}

/**
 * A register has one begin and one end, the begin first and the end last. One that has an end only, beside others, is a
 * meter's further word and says no energy.
 */
function judgeEnds({ obis, readings }: RegisterRun, whole: boolean, broken: BrokenRule[]): ChargedEnergy | undefined {
  const begins = readings.filter(({ reading }) => reading.reason === 'B')
  const ends = readings.filter(({ reading }) => reading.isEnd)
  if (begins.length > 1) broken.push({ code: 'ocmf.begun-twice', record: begins[1]!.record, obis })
  if (ends.length > 1) broken.push({ code: 'ocmf.ended-twice', record: ends[1]!.record, obis })
  const [begin, end] = [begins[0], ends[0]]
  if (begin === undefined || end === undefined) {
    if (whole && begin !== undefined) broken.push({ code: 'ocmf.not-ended', record: begin.record, obis })
    return undefined
  }
  if (begin !== readings[0] || end !== readings.at(-1)) broken.push({ code: 'ocmf.order', record: end.record, obis })
  const [from, to] = [begin.reading, end.reading]
  if (from.eventCount !== to.eventCount && to.eventCount !== undefined)
    broken.push({ code: 'ocmf.event', record: end.record, from: from.eventCount, to: to.eventCount })
  // A duration is told by the same clock at both ends: relative time means something only if it stays so.
  if (from.time.quality === 'relative' && to.time.quality !== 'relative')
    broken.push({ code: 'ocmf.time-quality', record: end.record, from: from.time.quality, to: to.time.quality })
  if (!isEnergy(to) || from.unit !== to.unit) return undefined
  const { value, scaler } = subtract(to.value!, from.value!)
  const direction = to.register?.direction
  const inWh = scaler + ENERGY_UNITS[to.unit!]!
  return { obis, ...(direction === undefined ? {} : { direction }), value, scaler: inWh, unit: 'Wh' }
}
