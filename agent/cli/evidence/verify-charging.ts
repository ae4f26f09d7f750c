/** Signed charging records of any station, as OCMF or ALFEN text or in the transparency software's XML. */
import { createEcdsaVerifier } from '../../../drivers/crypto/ecdsa.ts'
import { readTransparencyXml } from '../../../drivers/ocmf/transparency-xml.ts'
import { algOfKey } from '../../../protocol/identity/key.ts'
import { type ChargingRun, checkStationKey, judgeCharging, splitSignedTexts } from '../../../protocol/ocmf/report.ts'
import type { BrokenRule, Transaction } from '../../../protocol/ocmf/verdict.ts'
import { collectBroken } from '../../../protocol/reading/audit.ts'
import { type Fault, faultLine, ok, type Result } from '../../../protocol/result.ts'
import { isoTime } from '../../../protocol/time.ts'
import { valueText } from '../meters/meter-text.ts'
import { readSigningKey, stationKey } from './public-key.ts'
import type { Verdict } from './verify-report.ts'

/** Keys as they were typed; without any, the key that stands in the file. */
export function judgeChargingFile(text: string, typed: readonly string[]): Result<Verdict> {
  // As `tieline key show` says it, too.
  const keys = typed.map(key => {
    const ours = readSigningKey(key)
    return ours.ok && algOfKey(ours.value) === 'ES256' ? stationKey(ours.value) : key
  })
  for (const key of keys) {
    const readable = checkStationKey(key)
    if (!readable.ok) return readable
  }
  const entries = text.startsWith('<') ? readTransparencyXml(text) : splitSignedTexts(text)
  if (!entries.ok) return entries
  const { ok: holds, complete, runs } = judgeCharging(entries.value, keys, createEcdsaVerifier())
  const broken = collectBroken()
  for (const run of runs) for (const rule of run.broken) broken.add(placeOf(run, rule), faultOf(rule))
  return ok({
    what: `signed charging records (${[...new Set(runs.map(({ format }) => format))].join(', ')})`,
    said: runs.flatMap(runText),
    notes: [
      ...runs.flatMap(run => run.notes.map(note => `${placeOf(run, note)}: ${faultLine(faultOf(note))}`)),
      ...(runs.some(({ keyFrom }) => keyFrom === 'file')
        ? ["the key stands in the file itself: compare it with the station's label, or name that with --key"]
        : []),
      ...(holds && !complete ? ['not every transaction is whole: no energy can be billed of those'] : []),
    ],
    broken,
    json: { complete, runs: runs.map(({ broken: _, notes: __, ...run }) => run) },
  })
}

/** `record` of a rule counts in its run; a reader counts in the file. */
function placeOf({ records }: ChargingRun, { record }: BrokenRule): string {
  if (record !== undefined) return `record ${records[record - 1] ?? record}`
  return records.length === 1 ? `record ${records[0]}` : `records ${records[0]} to ${records.at(-1)}`
}

const faultOf = ({ record: _, ...fault }: BrokenRule): Fault => fault

function runText({ format, transaction, who, transactions }: ChargingRun): readonly string[] {
  const station = [
    ...(who?.gatewaySerial === undefined ? [] : [`station ${who.gatewaySerial}`]),
    ...(who?.meterSerial === undefined ? [] : [`meter ${who.meterSerial}`]),
  ]
  return [
    `${format}${transaction === undefined ? '' : ` transaction ${transaction}`}: ${
      who === undefined ? 'signed by nobody known' : `signed by ${who.fingerprint} (${who.curve})`
    }${station.length > 0 ? `, ${station.join(', ')}` : ''}`,
    ...transactions.flatMap(({ user, begin, end, energies }) => [
      `  ${momentText(begin)} to ${momentText(end)}${user === undefined ? '' : `, user ${user}`}`,
      ...energies.map(
        energy =>
          `    ${energy.obis}  ${valueText(energy)}${energy.direction === undefined ? '' : ` ${energy.direction}`}`,
      ),
    ]),
  ]
}

/** A time that the station itself is not sure of is not told as if it were. */
function momentText(moment: Transaction['begin']): string {
  if (moment === undefined) return '...'
  return `${isoTime(moment.at)}${moment.quality === 'synchronised' ? '' : ` (time ${moment.quality})`}`
}
