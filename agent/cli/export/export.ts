/** `tieline export`: signed readings and deals of a journal, or the agent's bills, a line each, in exact decimals. */
import { createSystemTime } from '../../../drivers/clock.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { faultLine } from '../../../protocol/result.ts'
import { type Instant, isoTime } from '../../../protocol/time.ts'
import { decodeDeal } from '../../../protocol/trade/deal-codec.ts'
import { DEAL } from '../../keeping.ts'
import { readMeteringRecord } from '../../metering/journal-form.ts'
import { decimalOf } from '../../publish/registers.ts'
import { coins, decimal } from '../agent/quantities.ts'
import { openToRead, refuseJournal } from '../evidence/journal.ts'
import { readingIn } from '../evidence/journal-records.ts'
import { parseMoment } from '../evidence/moment.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { readSite } from '../site-file.ts'
import type { Terminal } from '../terminal.ts'
import { misused, unknownName } from '../usage.ts'
import { BILL_COLUMNS, exportBills, PERIODS } from './export-bills.ts'
import { openSheet, type Row } from './sheet.ts'

export interface ExportOptions {
  readonly what: string
  readonly since?: string
  readonly meter?: string
  readonly period?: string
  readonly config: string
  readonly json?: true
}

/** Of CSV, in this order; of JSON the same names. Units stand in the names, but of a reading's value, which has its own. */
const COLUMNS = {
  readings: ['time', 'meter', 'sequence', 'obis', 'value', 'unit'],
  deals: [
    ...['id', 'state', 'role', 'line', 'to', 'start', 'end', 'energy_kwh', 'price_per_kwh'],
    ...['delivered_kwh', 'paid'],
  ],
  bill: BILL_COLUMNS,
} as const
type What = keyof typeof COLUMNS

export async function exportSite(options: ExportOptions, terminal: Terminal): Promise<ExitCode> {
  const { json = false, meter, period } = options
  const what = (Object.keys(COLUMNS) as What[]).find(each => each === options.what)
  if (what === undefined) return misused('export', unknownName('kind', options.what, Object.keys(COLUMNS)), terminal)
  if (meter !== undefined && what !== 'readings') return misused('export', '--meter is for readings', terminal)
  if (period !== undefined && what !== 'bill') return misused('export', '--period is for the bill', terminal)
  const by = PERIODS.find(each => each === (period ?? 'day'))
  if (by === undefined) return misused('export', unknownName('period', period!, PERIODS), terminal)
  const config = await readSite(options.config, terminal)
  if (typeof config === 'number') return config
  if (meter !== undefined && !Object.hasOwn(config.meters, meter))
    return misused('export', unknownName('meter', meter, Object.keys(config.meters)), terminal)
  const since = options.since === undefined ? undefined : parseMoment(options.since, createSystemTime().clock.now())
  if (since?.ok === false) return misused('export', faultLine(since.fault), terminal)
  const from = since?.value
  const columns: readonly string[] = COLUMNS[what]
  if (what === 'bill')
    return exportBills({ period: by, from, config, json, terminal }, () => openSheet(columns, json, terminal))
  const folder = `${config.data}/journal`
  const reader = await openToRead(folder)
  if (!reader.ok) return refuseJournal('export', folder, reader.fault, json, terminal)
  const write = openSheet(columns, json, terminal)
  /** The newest record of a deal says how it stands: it is written once the whole journal is read. */
  const deals = new Map<string, Uint8Array>()
  const visited = await reader.value.visit(({ kind, bytes }, { carried }) => {
    if (what === 'readings' && kind === 'reading' && !carried) return write(readingRows(bytes, meter, from))
    if (what !== 'deals' || kind !== DEAL) return undefined
    const deal = decodeDeal(bytes)
    if (deal.ok && (from === undefined || deal.value.contract.end >= from)) deals.set(toHex(deal.value.hash), bytes)
    return undefined
  })
  if (!visited.ok) return refuseJournal('export', folder, visited.fault, json, terminal)
  for (const bytes of deals.values()) if ((await write([dealRow(bytes)])) === 'enough') break
  return EXIT.ok
}

function readingRows(bytes: Uint8Array, meter: string | undefined, from: Instant | undefined): readonly Row[] {
  const record = readMeteringRecord(bytes)
  const reading = record === undefined ? undefined : readingIn(record.envelope)
  if (record === undefined || reading === undefined || (meter !== undefined && record.name !== meter)) return []
  if (from !== undefined && reading.time < from) return []
  const about = { time: isoTime(reading.time), meter: record.name, sequence: String(reading.sequence) }
  return reading.registers.map(value => ({ ...about, obis: value.obis, value: decimalOf(value), unit: value.unit }))
}

function dealRow(bytes: Uint8Array): Row {
  const deal = decodeDeal(bytes)
  // It was read when it was found.
  if (!deal.ok) throw new Error(deal.fault.code)
  const { hash, state, role, contract, settlement } = deal.value
  return {
    ...{ id: toHex(hash), state, role, line: contract.line },
    ...(contract.to === undefined ? {} : { to: contract.to }),
    ...{ start: isoTime(contract.start), end: isoTime(contract.end) },
    ...{ energy_kwh: decimal(contract.energy, 3), price_per_kwh: coins(contract.price) },
    ...(settlement?.delivered === undefined ? {} : { delivered_kwh: decimal(settlement.delivered, 3) }),
    ...(settlement === undefined ? {} : { paid: coins(settlement.paid) }),
  }
}
